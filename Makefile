# make run: set up and serve.  make test: set up and check everything.  Both are quick the second time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAY := @printf '%s\n'

# Rasa, in its own environment: see docs/deployer.md.
RASA_VENV := .venv-rasa
RASA_PROJECT := build/rasa
RASA_HOME := $(or $(BANDUONG_HOME),var)/rasa
RASA := $(RASA_VENV)/bin/python deploy/rasa_server.py
RASA_FOLDERS := --project $(RASA_PROJECT) --models $(RASA_HOME)/models
LOCK := pip-compile --quiet --allow-unsafe --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test check bench bench-nlu soak soak-broadcast rasa rasa-env rasa-train rasa-serve format lock lock-rasa clean

help:
	$(SAY) 'make run     set up, then serve the web chat on http://127.0.0.1:8000' \
	       'make test    set up, then lint, types and all tests' \
	       'make check   look over content, nlu data, configuration and database' \
	       'make bench   measure speed and memory' \
	       'make bench-nlu  measure the understanding beside Rasa, and write docs/benchmarks.md (an hour and more)' \
	       'make soak    kill web and workers a hundred times while they deliver (minutes)' \
	       'make soak-broadcast  send an alert to a hundred thousand while everything is killed (half an hour)' \
	       'make rasa    set up a Rasa server, train it and serve on http://127.0.0.1:5005' \
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

rasa: rasa-serve

rasa-env: $(RASA_VENV)/rasa.stamp

# Both leave things alone when nothing would change.
rasa-train: setup rasa-env
	@$(BIN)/banduong rasa export $(RASA_PROJECT)
	@$(RASA) train $(RASA_FOLDERS)

rasa-serve: rasa-train
	@$(RASA) serve $(RASA_FOLDERS) --token-file $(RASA_HOME)/token

$(RASA_VENV)/rasa.stamp: requirements-rasa.lock
	@python=$$(sh deploy/find-python310.sh) && rm -rf $(RASA_VENV) && "$$python" -m venv $(RASA_VENV)
	$(SAY) 'Installing Rasa into $(RASA_VENV) (2.7 GB, a few minutes, once)'
	@$(RASA_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --progress-bar on --require-hashes -r requirements-rasa.lock
	@touch $@

format: setup-dev
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

lock: lock-rasa
	@$(BIN)/python -m pip install --quiet pip-tools
	@$(BIN)/$(LOCK) --extra build --output-file requirements.lock pyproject.toml
	@$(BIN)/$(LOCK) --extra build --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

# The group `rasa` of pyproject.toml, for Python 3.10, in an environment that is made for this alone.
lock-rasa: setup
	@python=$$(sh deploy/find-python310.sh) && "$$python" -m venv build/lock-rasa
	@build/lock-rasa/bin/python -m pip install --quiet pip-tools
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["rasa"], sep="\n")' > build/requirements-rasa.in
	@build/lock-rasa/bin/$(LOCK) --output-file requirements-rasa.lock build/requirements-rasa.in

clean:
	@rm -rf $(VENV) $(RASA_VENV) build *.egg-info
