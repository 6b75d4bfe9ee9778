# Everything starts here; `make` alone lists the targets. Only Python 3.11+ and make need to be on the machine.
SHELL := /bin/sh
PYTHON ?= python3
VENV := $(CURDIR)/.venv
PY := $(VENV)/bin/python
export PATH := $(VENV)/bin:$(PATH)
export JSII_NODE := $(VENV)/bin/node
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-bulk check synth bench lock clean wheel

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install everything into this checkout; quick and offline if nothing changed
	@$(PYTHON) tools/setup.py

demo: setup ## Files travel raw -> bronze -> silver -> gold on this laptop
	@$(PY) -m local.demo

test: setup ## Checks, then every test: units, the laptop platform, whole scenarios
	@$(PY) -m tools.spark_releases
	@$(PY) -m tools.run_tests $(TESTS)

test-bulk: setup ## All eight tables of TPC-H through the platform and the 22 queries over them (ten minutes)
	@$(PY) -m tools.run_tests -q -m bulk tests

check: setup ## Lint, format, types and import rules
	@$(PY) -m tools.checks

synth: setup ## Synthesize every environment into cdk.out/<env>
	@$(PY) -m tools.synth

bench: setup ## Measure against hand-written peers; writes docs/performance.md
	@$(PY) -m benchmarks

wheel: setup ## Build the wheel for other teams into dist/
	@$(PY) -m tools.wheel

lock: setup ## Renew the lock files after a change of requirements (needs the network)
	@$(PY) -m tools.lock

clean: ## Remove what set-up and builds made in this checkout (downloads shared by checkouts stay)
	@if [ -x $(VENV)/bin/lake ]; then $(VENV)/bin/lake down --wipe || true; fi
	rm -rf .venv .cache node_modules cdk.out build dist constructs_lib/_bundled .pytest_cache .ruff_cache .import_linter_cache
