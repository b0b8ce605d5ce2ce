# Two commands: make tour, make test.  Everything else they call.
PYTHON ?= python3
BIN := .venv/bin
SHELL := /bin/bash
.DELETE_ON_ERROR:

.PHONY: tour test test-oracles set-up check lock clean
tour: set-up
	$(BIN)/ring3 tour -o tour

test: set-up check
	$(BIN)/pytest -n 2 --dist worksteal -m "not oracle" $(ARGS)

test-oracles: set-up
	scripts/oracles
	$(BIN)/pytest -n 2 --dist worksteal -m oracle $(ARGS)

check: set-up
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

set-up: .set-up/python .set-up/machine

.set-up/python: requirements.lock pyproject.toml scripts/set-up-python scripts/ring3
	scripts/set-up-python $(PYTHON)
	@mkdir -p $(@D) && touch $@

# What the machine lacks is said, not fatal: the jobs that need it say so again.
.set-up/machine: .set-up/python src/ring3/doctor.py src/ring3/oracles.py
	$(BIN)/ring3 doctor --install
	@mkdir -p $(@D) && touch $@

lock:
	$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header \
	  --group pyproject.toml:dev pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .set-up tour
