# Two commands on a fresh Debian 12, as root: `make demo` shows it, `make test` proves it.

# Makes .venv; unset: see tests/setup/venv.
PYTHON ?=
BIN := .venv/bin
# The tests that run the kernels: once more as plain Python, where a wrong index is an error.
KERNEL_TESTS := $(wildcard tests/test_rating*.py tests/test_onepass.py tests/test_drawdown.py tests/test_ordering.py tests/test_parquet.py tests/test_sources_tables.py tests/test_streaming.py)
WHO ?= alice
DEMO ?= slurm-voucher-demo
TEST ?= slurm-voucher-test
MINUTES ?= 10
MAN ?= build/man
PAPERS := /var/lib/slurm-voucher/demo-output

export PYTHON
.NOTPARALLEL:
.PHONY: help demo login down test check lint types unit unit-plain thorough nightly fuzz slurm slurm-matrix bench plugins lock clean

help:
	@echo 'make demo     a cluster in a container, and the story of a voucher, told in it'
	@echo 'make login    a shell of alice in it (WHO=root for the operator); make down stops it'
	@echo 'make test     everything: check, thorough, then the tests against the containerised Slurm'
	@echo 'make check    what needs no Slurm: lint, types, unit and property tests'
	@echo 'make nightly  10,000 random steps of the whole life of vouchers, against a model'
	@echo 'make fuzz     any bytes into the readers of usage and of questions, with atheris'
	@echo 'make man      manual pages from the help, into build/man (MAN=/usr/local/share/man)'
	@echo 'make words    bring the catalogues of other languages in line with the code, and compile them'
	@echo 'make slurm-matrix  the same on Slurm 22.05, 24.11 and 26.05, each in an image of its own'
	@echo 'make slurm    only the tests against the containerised Slurm (some: ARGS="-k refused")'
	@echo 'make bench    what it costs, measured'
	@echo 'make plugins  build the Slurm plugins against the libslurm of this machine'
	@echo 'make clean    remove what was built here, the container and its image'

.venv/ready: requirements.lock pyproject.toml
	@tests/setup/venv

demo: .venv/ready
	@SLURM_VOUCHER_CONTAINER=$(DEMO) tests/slurm/container up
	@SLURM_VOUCHER_CONTAINER=$(DEMO) tests/slurm/container run python -m tests.slurm.story
	@SLURM_VOUCHER_CONTAINER=$(DEMO) tests/slurm/container copy $(PAPERS) demo-output
	@echo
	@echo 'The papers of the story are in demo-output/: open a PDF.'
	@echo 'The cluster is still up. Log in as alice: make login. Stop it: make down.'

login:
	@SLURM_VOUCHER_CONTAINER=$(DEMO) tests/slurm/container login $(WHO)

down:
	@SLURM_VOUCHER_CONTAINER=$(DEMO) tests/slurm/container down

test: check thorough slurm

check: lint types unit unit-plain

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/ready
	$(BIN)/mypy

unit: .venv/ready
	$(BIN)/pytest -q -n auto --dist worksteal -m "not slurm and not thorough"

thorough: .venv/ready
	$(BIN)/pytest -q -n auto --dist worksteal -m thorough

nightly: .venv/ready
	LIFE_STEPS=10000 $(BIN)/pytest -q --timeout=7200 tests/test_life.py

# Ten minutes for each, or MINUTES=1; what is new goes to build/fuzz, and what fails is named there.
fuzz: .venv/ready
	@$(BIN)/pip install -q 'atheris>=3'
	@set -e; for target in usage questions; do mkdir -p build/fuzz/$$target; \
		NUMBA_DISABLE_JIT=1 PYTHONPATH=. $(BIN)/python tests/fuzz/$$target.py -max_len=4096 \
		-max_total_time=$$(($(MINUTES) * 60)) -artifact_prefix=build/fuzz/ \
		build/fuzz/$$target tests/fuzz/corpus/$$target; done

unit-plain: .venv/ready
	NUMBA_DISABLE_JIT=1 $(BIN)/pytest -q -m "not slurm" $(KERNEL_TESTS)

slurm: .venv/ready
	@SLURM_VOUCHER_CONTAINER=$(TEST) tests/slurm/container test $(ARGS)

slurm-matrix: .venv/ready
	@set -e; for suite in bookworm trixie forky; do echo "== Slurm of Debian $$suite"; \
		SLURM_VOUCHER_SUITE=$$suite SLURM_VOUCHER_CONTAINER=$(TEST)-$$suite \
		tests/slurm/container test $(ARGS); done

bench: .venv/ready
	@tests/setup/debian gcc make slurmctld slurm-client slurm-wlm-basic-plugins libslurm-dev munge
	@set -e; for f in $$(grep -l __main__ bench/*.py); do \
		m=$$(basename $$f .py); echo "== bench.$$m"; $(BIN)/python -m bench.$$m; done

plugins:
	@tests/setup/debian gcc libc6-dev libslurm-dev
	$(MAKE) -C plugins all

# Written on Python 3.11, the oldest; every pin must also have a wheel for the image's Python.
lock: .venv/ready
	@$(BIN)/pip install -q pip-tools
	@( echo '# Exact versions, for Python 3.11 (Debian 12) to 3.14 (the image): make lock.'; \
	  $(BIN)/pip-compile -q --extra dev --extra postgres --extra distributed --extra bench --extra charts \
		--strip-extras --allow-unsafe --no-header --no-annotate --no-emit-index-url \
		--no-emit-find-links --no-emit-trusted-host \
		-o - pyproject.toml; \
	  echo setuptools==84.2.1 ) >build/lock && mv build/lock requirements.lock

# Names what has no translation yet. The compiled catalogue stands beside its source, so that a
# checkout, a wheel and an editable install all have it; a test holds the two together.
.PHONY: words man
words: .venv/ready
	@PYTHONPATH=.:tests $(BIN)/python -m tests.sentences

man: .venv/ready
	@$(BIN)/python docs/manpages.py $(MAN)
	@echo 'man -l $(MAN)/man1/svoucher.1'

clean:
	@SLURM_VOUCHER_CONTAINER=$(DEMO) tests/slurm/container clean
	@SLURM_VOUCHER_CONTAINER=$(TEST) tests/slurm/container clean
	[ ! -f plugins/Makefile ] || $(MAKE) -C plugins clean
	rm -rf build demo-output .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis ./*.egg-info
