# make demo: the whole main job on real data.   make test: the tests.   Both install what they need into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)
APT := $(SUDO) sh -c 'apt-get update -qq && apt-get install -y -qq --reinstall "$$0"'
# Installs a server package without starting or enabling what it brings.
SERVER := $(SUDO) sh -c 'command -v apt-get >/dev/null || exit 1; policy=/usr/sbin/policy-rc.d; \
	[ -e $$policy ] || { trap "rm -f $$policy" EXIT; printf "\#!/bin/sh\nexit 101\n" > $$policy; chmod +x $$policy; }; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$$0" >/dev/null || exit 1; \
	if [ -d /run/systemd/system ]; then systemctl disable -q "$$0"; fi'
export PYTHONUNBUFFERED := 1

.PHONY: help demo test servers lint bench install clean lock

help:
	@sed -n '1p' Makefile
	@echo "make lint: style and import rules.   make bench: figures, side by side.   make clean: remove .venv, runs, registry."

install: $(READY)

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11"; exit 1; }
	@echo "Installing into $(VENV) (once, about two minutes) ..."
	@$(PYTHON) -m venv $(VENV) || { $(APT) python3-venv && $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@$(BIN)/python -c "import lightgbm" 2>/dev/null || $(APT) libgomp1
	@$(BIN)/python -c "import lightgbm" || { echo "LightGBM needs the system library libgomp1"; exit 1; }
	@touch $@

demo: $(READY)
	@$(BIN)/python demo.py

test: $(READY) servers
	$(BIN)/python -m pytest

# The servers that tests start for themselves; without them these tests are skipped, saying so.
servers:
	@PATH="$$PATH:$$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')"; \
	for need in redis-server:redis-server initdb:postgresql; do \
		command -v $${need%:*} >/dev/null || $(SERVER) $${need#*:} || echo "$${need#*:} could not be installed"; \
	done

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python -m benchmarks.encoder
	$(BIN)/python -m benchmarks.draws
	$(BIN)/python -m benchmarks.boosting
	$(BIN)/python -m benchmarks.quality
	$(BIN)/python -m benchmarks.selection
	$(BIN)/python -m benchmarks.calibration
	$(BIN)/python -m benchmarks.rejection
	$(BIN)/python -m benchmarks.coverage --no-mapie
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.scale two
	$(BIN)/python -m benchmarks.recovery --moments 6
	$(BIN)/python -m benchmarks.nodes

# The exact versions the project is tested with, from a fresh environment.
lock:
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//; s/ @ .*//' > constraints.txt
	@touch $(READY)

clean:
	rm -rf $(VENV) runs registry requests.jsonl
