# One word per job; continuous integration says the same words. `make` alone lists them.
# Works with GNU make 3.81 and later. Settings: PYTHON=python3.12 make setup · VENV=elsewhere make test

VENV ?= .venv
BIN := $(VENV)/bin
# What `make test ARGS="-k csv"` and `make demo ARGS="--for 30s"` pass on.
ARGS ?=
# Tests run in parallel, one file in one process, so that a file's fixtures are built once.
PARALLEL ?= -n auto --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help setup demo test soak check format docs reference bench clean
.PHONY: check-lint check-format check-types check-imports check-docs

help: ## list these words
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- the virtual environment -------------------------------------------------------------------
# Three stamps: the environment exists; it can run the demo; it has all that tests and docs need.

$(VENV)/.made: tools/make_venv.sh
	@PYTHON="$(PYTHON)" sh tools/make_venv.sh "$(VENV)"
	@touch $@

$(VENV)/.ready-demo: pyproject.toml $(VENV)/.made
	@echo "installing riverrun and what the demo shows it with ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dashboard]'
	@touch $@

$(VENV)/.ready-all: pyproject.toml $(VENV)/.made
	@echo "installing riverrun with everything for tests, checks and docs (one to two minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,check,docs]'
	@touch $@ $(VENV)/.ready-demo

setup: $(VENV)/.ready-all ## make .venv with all that tests, checks and docs need
	@echo "ready: $$($(BIN)/python --version), riverrun $$($(BIN)/python -c 'from importlib.metadata import version; print(version("riverrun"))') in $(VENV)"

# --- use ---------------------------------------------------------------------------------------

demo: $(VENV)/.ready-demo ## real prices over a real socket, live in the browser (ARGS="--for 30s")
	@$(BIN)/riverrun demo market $(ARGS)

# --- work --------------------------------------------------------------------------------------

test: $(VENV)/.ready-all ## run the tests (ARGS="-k csv"); the last line counts passed and skipped
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

SOAKED := tests/crash tests/soak tests/simulation tests/robustness
# One process, and its output as it comes: these loops take the disk for themselves.
soak: $(VENV)/.ready-all ## what takes hours: kills, power cuts, 10,000 simulated runs, fuzzing, long runs (docs/durability.md)
	@RIVERRUN_SOAK=1 $(BIN)/python -m pytest -s -v $(SOAKED) $(ARGS)

check: check-lint check-format check-types check-imports check-docs ## lint, format, types, import contract, docs (-k: go on after a failure)

check-lint: $(VENV)/.ready-all
	$(BIN)/ruff check .

check-format: $(VENV)/.ready-all
	$(BIN)/ruff format --check .

check-types: $(VENV)/.ready-all
	$(BIN)/mypy

check-imports: $(VENV)/.ready-all
	$(BIN)/lint-imports --no-logo

# Not --quiet: it hides the warnings from --strict, too, and then nothing ever fails.
check-docs: $(VENV)/.ready-all
	$(BIN)/python -m tools.make_reference --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python -m tools.check_docs

format: $(VENV)/.ready-all ## put the code in its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: $(VENV)/.ready-all ## write docs/reference again from the code
	$(BIN)/python -m tools.make_reference

docs: reference ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python -m tools.check_docs
	@echo "the documentation is in site/; with search: $(BIN)/python -m http.server --directory site"

bench: $(VENV)/.ready-all ## measure speed against one-shot Polars, into benchmarks/results
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove the environment and everything that was built
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
