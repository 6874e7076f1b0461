# Everything a developer or a newcomer runs. `make` alone says what there is.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# A build machine's pip may know a mirror; nothing here names one.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := gateway pipeline twiml simulator tests

.DEFAULT_GOAL := help
.PHONY: help call run demo bench bench-realtime bench-webrtc bench-turns prove test test-clients check format clean

help:  ## what there is
	@echo "Switchboard: give a phone number an AI voice agent"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "First time here? make call"

call: $(VENV)/.local  ## hear it: a simulated phone call, end to end, no account, no key
	@$(BIN)/switchboard demo --call --save out

demo: $(VENV)/.local  ## a gateway with built-in providers on this machine, to call with `switchboard simulate`
	@$(BIN)/switchboard demo

run: $(VENV)/.remote  ## answer a real number: settings from .env, and what to do next
	@$(BIN)/switchboard serve --log-format text

bench: $(VENV)/.bench  ## calls per core, latency and memory, beside a bare echo on the same machine
	@$(BIN)/switchboard bench --calls 300 --floor

bench-realtime: $(VENV)/.bench  ## Realtime sessions per core and the cost of a delta, beside a bare echo in the same run
	@$(BIN)/switchboard bench-realtime --step 15

bench-webrtc: $(VENV)/.bench  ## WebRTC sessions per core, delay and where CPU goes, beside stock aiortc in the same run
	@$(BIN)/switchboard bench-webrtc --step 5 --profile

bench-turns: $(VENV)/.bench  ## voice to voice with stand-ins as slow as real services: what preemption and hedging save
	@$(BIN)/switchboard bench-turns

prove: $(VENV)/.bench redis  ## kill workers, stop Redis, drop streams under live calls, and count what callers lost
	@$(BIN)/switchboard prove --json out/prove.json

test: $(VENV)/.test redis node chromium  ## everything: format, lint, types, tests with coverage
	@$(MAKE) --no-print-directory check PYTHON=$(PYTHON) VENV=$(VENV)

test-clients: $(VENV)/.test node client-environments  ## stock Realtime clients, unmodified, against the gateway
	$(BIN)/python -m pytest tests/clients

check: $(VENV)/.test client-environments  ## the same, installing nothing but Python and npm packages
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python -m tests.lanes --reruns 1 $(if $(filter-out no,$(COVERAGE)),--cov)

# What fails is played once more, and told as RERUN: calls are played in real time, and a shared machine may stand
# still for as long as a caller waits. What is wrong fails twice.
# COVERAGE=no counts no lines, as on a second Python, which shows nothing of them that the first has not.
COVERAGE ?= yes
# Some build machines forbid it, and then every process that a test starts compiles all sources anew.
unexport PYTHONDONTWRITEBYTECODE

format: $(VENV)/.test  ## let ruff write what it can
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

clean:  ## forget what was built; .venv stays
	rm -rf out build *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The environment, once; again when pyproject.toml changes. A fresh Debian lacks the module that makes one.
$(BIN)/python:
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(MAKE) --no-print-directory python-venv
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.%: pyproject.toml $(BIN)/python
	@echo "installing into $(VENV): $*"
	@$(PIP) install --editable '.[$(EXTRAS_$*)]'
	@touch $@

EXTRAS_local := local,webrtc
EXTRAS_remote := local,remote,webrtc
EXTRAS_bench := bench,webrtc
EXTRAS_test := local,remote,webrtc,bench,test

.PHONY: python-venv redis node chromium client-environments
python-venv:
	@command -v apt-get >/dev/null || { echo "this Python has no venv module: install it"; exit 2; }
	@echo "installing the python3-venv package"
	@$(AS_ROOT) apt-get update -qq && $(AS_ROOT) apt-get install -y -qq python3-venv >/dev/null

redis:
	@command -v redis-server >/dev/null || { command -v apt-get >/dev/null && \
		echo "installing the redis-server package" && \
		$(AS_ROOT) apt-get update -qq && $(AS_ROOT) apt-get install -y -qq redis-server >/dev/null; } || \
		{ echo "redis-server is needed for the tests: install it and run make test again"; exit 2; }

node:
	@command -v npm >/dev/null || { command -v apt-get >/dev/null && \
		echo "installing the nodejs and npm packages" && \
		$(AS_ROOT) apt-get update -qq && $(AS_ROOT) apt-get install -y -qq nodejs npm >/dev/null; } || \
		{ echo "Node.js 20 or newer with npm is needed for the tests: install it and run make test again"; exit 2; }

# The browser that the tests drive.
chromium:
	@[ -x /usr/bin/chromium ] || { command -v apt-get >/dev/null && \
		echo "installing the chromium package" && \
		$(AS_ROOT) apt-get update -qq && $(AS_ROOT) apt-get install -y -qq chromium >/dev/null; } || \
		{ echo "Chromium is needed at /usr/bin/chromium for the tests: install it and run make test again"; exit 2; }

# One for each stock client, outside the checkout; what is there already is left as it is.
client-environments: $(VENV)/.test
	@$(BIN)/python -m tests.clients.environments

AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
