# make run: set up and serve.  make test: set up and check everything.  Both are quick the second time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAY := @printf '%s\n'

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test check bench bench-nlu soak soak-broadcast format lock clean

help:
	$(SAY) 'make run     set up, then serve the web chat on http://127.0.0.1:8000' \
	       'make test    set up, then lint, types and all tests' \
	       'make check   look over content, nlu data, configuration and database' \
	       'make bench   measure speed and memory' \
	       'make bench-nlu  measure the understanding beside Rasa, and write docs/benchmarks.md (an hour and more)' \
	       'make soak    kill web and workers a hundred times while they deliver (minutes)' \
	       'make soak-broadcast  send an alert to a hundred thousand while everything is killed (half an hour)' \
	       'make format  put the code into its form'

setup: $(VENV)/run.stamp

setup-dev: $(VENV)/dev.stamp

$(VENV)/bin/python:
	$(SAY) 'Making .venv'
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3'; exit 2; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(SAY) 'Installing what the bot needs (about a minute, once)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar on --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.lock
	$(SAY) 'Installing what the tests need (once)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar on --require-hashes -r requirements-dev.lock
	@touch $@

run: setup
	@$(BIN)/banduong serve

test: setup-dev
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/pytest -n auto --dist worksteal -q

check: setup
	@$(BIN)/banduong check

bench: setup-dev
	@$(BIN)/python -m bench

bench-nlu: setup-dev
	@$(BIN)/python -m bench.nlu

soak: setup-dev
	@$(BIN)/python -m tests.soak --database sqlite
	@$(BIN)/python -m tests.soak --database postgresql
	@$(BIN)/python -m tests.soak_trends --database sqlite --kills 100
	@$(BIN)/python -m tests.soak_trends --database postgresql --kills 100

soak-broadcast: setup-dev
	@$(BIN)/python -m tests.soak_broadcast --database sqlite
	@$(BIN)/python -m tests.soak_broadcast --database postgresql

format: setup-dev
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

lock:
	@$(BIN)/python -m pip install --quiet pip-tools
	@$(BIN)/pip-compile --quiet --allow-unsafe --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --extra build --output-file requirements.lock pyproject.toml
	@$(BIN)/pip-compile --quiet --allow-unsafe --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --extra build --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

clean:
	@rm -rf $(VENV) build *.egg-info
