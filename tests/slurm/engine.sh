# Sourced: docker where it has an engine, else podman with a base image made from Debian's packages.
#
# Sets `engine` (a command prefix) and `builder` (the same for building).

suite=${SLURM_VOUCHER_SUITE:-forky}
base=docker.io/library/debian:$suite-slim

choose_engine() {
    if docker info >/dev/null 2>&1; then
        engine=(docker)
        builder=(env DOCKER_BUILDKIT=1 docker build --network host --progress plain)
    else
        # crun, and podman's own isolation of builds, fail where cgroups v1 and v2 are mixed.
        engine=(podman --runtime runc)
        builder=(podman build --isolation chroot --network host --layers)
    fi
}

prepare_engine() {
    if [[ ${engine[0]} == podman ]]; then
        tests/setup/debian podman buildah runc mmdebstrap
    fi
    "${engine[@]}" image inspect "$base" >/dev/null 2>&1 && return
    if [[ ${engine[0]} == docker ]]; then
        step pull "pulling $base" docker pull "$base" && return
        say "no registry answers; Debian's packages will do"
    fi
    bootstrap_base
}

# An image such as a registry would have, from the mirror that this machine's apt uses.
bootstrap_base() {
    local mirror
    mirror=$(debian_mirror)
    if [[ -z $mirror ]]; then
        say "apt names no Debian mirror, and the base image is made from one: set DEBIAN_MIRROR"
        return 1
    fi
    tests/setup/debian mmdebstrap
    mkdir -p build
    apt_settings >build/apt.conf
    step base "making the base image debian:$suite-slim from packages" mmdebstrap \
        --variant=minbase --aptopt="$PWD/build/apt.conf" "$suite" "build/$suite.tar" "$mirror"
    step base-import "importing it" "${engine[@]}" import "build/$suite.tar" "$base"
    rm "build/$suite.tar"
}

debian_mirror() {
    local codename
    if [[ -n ${DEBIAN_MIRROR:-} ]]; then
        echo "$DEBIAN_MIRROR"
    elif grep -qx 'ID=debian' /etc/os-release; then
        codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
        apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
            awk -v release="$codename" '$1 == release && $2 == "main" && !uri { uri = $3 }
                END { print uri }'
    fi
}

apt_settings() {
    local names='Check-(Valid-Until|Date)|Retries|https?::(Proxy|Verify-|CaInfo|Timeout)[^ ]*'
    apt-config dump 2>/dev/null | grep -E "^Acquire::($names) " || true
}

# What the build needs of this machine to reach its packages; empty files where it needs nothing.
host_settings() {
    local authority
    mkdir -p build/host
    authority=$(pip_setting cert)
    authority=${authority:-${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}}
    apt_settings | grep -v CaInfo >build/host/apt.conf || true
    : >build/host/ca.crt
    if [[ -r $authority ]]; then
        cat "$authority" >build/host/ca.crt
        echo 'Acquire::https::CaInfo "/run/host/ca.crt";' >>build/host/apt.conf
    fi
    pip_conf >build/host/pip.conf
}

pip_conf() {
    local key value
    echo '[global]'
    [[ ! -s build/host/ca.crt ]] || echo 'cert = /run/host/ca.crt'
    for key in index-url extra-index-url find-links trusted-host proxy timeout; do
        value=$(remote_only "$(pip_setting "$key")")
        [[ -z $value ]] || echo "$key =$value"
    done
}

# A folder of this machine is not there in the build: only what has a remote address counts.
remote_only() {
    local word
    for word in $1; do
        case $word in
            file:* | /* | .*) ;;
            *) printf ' %s' "$word" ;;
        esac
    done
}

# The environment wins over pip's files, as it does for pip.
pip_setting() {
    local variable="PIP_${1^^}"
    variable=${variable//-/_}
    if [[ -n ${!variable:-} ]]; then
        echo "${!variable}"
    else
        .venv/bin/pip config get "global.$1" 2>/dev/null || true
    fi
}

# Sets `options`: what the build of this image is given.
build_options() {
    local mirror variable file
    options=("--build-arg=SUITE=$suite" "--build-arg=BASE=$base")
    host_settings
    for file in apt.conf pip.conf ca.crt; do
        options+=("--secret=id=$file,src=build/host/$file")
    done
    mirror=$(debian_mirror)
    [[ -z $mirror ]] || options+=("--build-arg=DEBIAN_MIRROR=$mirror")
    for variable in http_proxy https_proxy no_proxy; do
        [[ -z ${!variable:-} ]] || options+=("--build-arg=$variable=${!variable}")
    done
}
