# Sourced: run a command quietly, with its output in build/NAME.log and a line of what goes on.
#
#   step NAME "what it does" COMMAND...
#
# Lines of the command that begin with "== " are shown as they come: they are its own steps.

say() {
    printf '%s\n' "· $*" >&2
}

show_steps() {
    local line
    while IFS= read -r line; do
        # BuildKit puts "#12 3.45 " before what a build step prints.
        if [[ $line =~ ^(#[0-9]+\ [0-9.]+\ )?==\ (.*)$ ]]; then
            say "  ${BASH_REMATCH[2]}"
        fi
    done
}

step() {
    local what=$2 log="build/$1.log" begin=$SECONDS
    shift 2
    mkdir -p build
    say "$what (log: $log)"
    if ! "$@" 2>&1 </dev/null | tee "$log" | show_steps; then
        say "$what: failed after $((SECONDS - begin)) s; the last lines of $log:"
        tail -n 25 "$log" >&2
        return 1
    fi
    ((SECONDS - begin < 3)) || say "  done in $((SECONDS - begin)) s"
}
