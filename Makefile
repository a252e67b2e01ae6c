# `make demo` and `make test` need nothing else: each installs what it needs first.
SHELL := /bin/bash
# Debian's own Python first: the lab's user has to reach it, and one below /root is out of reach for everybody else.
FIT := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for p in /usr/bin/python3 python3; do $$p -c '$(FIT)' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# A lab is five hosts under load, and two labs are what two cores carry; of nine machines it is one.
LABS := tests/lab tests/failover tests/demo

.PHONY: help demo test torture bench check law mutants messages lock clean lab-packages

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/ready lab-packages ## a real database failover on a lab hospital on this machine
	@$(BIN)/python -m lab.demo

test: $(VENV)/ready lab-packages check ## everything that CI runs
	$(BIN)/pytest -n 3 $(addprefix --ignore=,$(LABS) tests/machines)
	$(BIN)/pytest -n 2 --dist loadfile $(LABS)
	$(BIN)/pytest -n 0 tests/machines

torture: $(VENV)/ready lab-packages ## the long campaigns, whole
	HISAUTO_TORTURE=1 $(BIN)/pytest -n 2 --dist loadfile --timeout 7200

bench: $(VENV)/ready lab-packages ## the benchmarks, each against a peer in the same run
	$(BIN)/python -m benchmarks.failover
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.audit
	$(BIN)/python -m benchmarks.fanout
	$(BIN)/python -m benchmarks.rehearsal
	$(BIN)/python -m benchmarks.waiting

check: $(VENV)/ready ## types and style
	$(BIN)/ruff check .
	$(BIN)/mypy

lab-packages: $(VENV)/ready # Debian's packages for the lab: installed by root, named to everybody else
	@$(BIN)/python -m lab.prereq --install

messages: $(VENV)/ready ## bring the catalogs in step with the source, and list what isn't translated
	$(BIN)/python -m l10n

$(VENV)/ready: pyproject.toml requirements.lock
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c '$(FIT)' || \
	  { echo "hisauto needs Python 3.11 to 3.13, and this machine has $$(python3 -V 2>&1)"; exit 2; }
	@if ! $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null; \
	  else echo "missing Debian package: python3-venv (as root: apt-get install python3-venv)"; exit 2; fi; fi
	@echo "installing Python packages into $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check -r requirements.lock
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

law: $(VENV)/ready ## docs/semantics.md from its sentences and the cases that show them
	@$(BIN)/python -m tests.conformance.law

mutants: $(VENV)/ready ## small faults in the engine, each to be noticed by a case
	@$(BIN)/python -m tests.conformance.mutants

lock: ## pin what pyproject.toml allows
	$(BIN)/pip install -q pip-tools
	$(BIN)/pip-compile -q --extra dev --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	  --no-annotate --output-file requirements.lock pyproject.toml

clean: ## everything that was made here
	-[ -x $(BIN)/python ] && $(BIN)/python -m lab down --purge
	rm -rf $(VENV) .hisauto build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
