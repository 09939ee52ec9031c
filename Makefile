# Every target does its own set-up; a second run finds it done. `make help` lists the targets.
PYTHON ?= python3
VENV ?= .venv
CONFIG ?= bundles/remd/train.json
ARGS ?=
JOBS ?= 2
UV ?= uv

BIN := $(VENV)/bin
# The constraints pin every release, so that the same commit installs the same environment.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
DECLARED := setup.cfg pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help train test test-all lint format types docs constraints clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

train: $(VENV)/.installed  ## install, then train on the synthetic cohort (or: CONFIG=… ARGS="--key value")
	$(BIN)/python -m monai.bundle run --config_file $(CONFIG) $(ARGS)

# One thread a worker: the workers share the cores, and sums do not depend on how many there are.
test: lint types  ## install with the test tools, then lint, types and the suite with its coverage gate
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" --numprocesses $(JOBS) --dist loadfile --cov --cov-report=term $(ARGS)

test-all: lint types  ## as `test`, with the long forms of its checks (20 kills, every signal …)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --cov --cov-report=term $(ARGS)

lint: $(VENV)/.installed-test  ## check format, rules and spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell

format: $(VENV)/.installed-test  ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(VENV)/.installed-test  ## check the types
	$(BIN)/mypy

docs: $(VENV)/.installed-docs  ## build the documentation into docs/_build/html; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

# torch itself pins the exact CUDA packages that it needs, and a build for the CPU needs none.
constraints:  ## resolve all pins anew for every supported Python (needs uv)
	cp constraints.txt .constraints.tmp
	$(UV) pip compile setup.cfg --universal --python-version 3.10 --extra test --extra docs --extra dev --extra dicom --extra cluster \
	  --no-annotate --custom-compile-command "make constraints" --quiet --output-file .constraints.tmp > /dev/null
	grep -vE '^(nvidia-|cuda-|triton)' .constraints.tmp > constraints.txt
	rm .constraints.tmp

clean:  ## remove caches and builds; never data or results
	rm -rf build dist *.egg-info docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis htmlcov .coverage .coverage.*
	find medmd data_prep benchmarks tests -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f $(VENV)/.installed $(VENV)/.installed-test $(VENV)/.installed-docs

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "medmd needs Python 3.10 to 3.13; choose one with: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(DECLARED) | $(BIN)/python
	$(PIP_INSTALL) --editable .
	@touch $@

# The extras hold the package itself, so that their stamps stand for it too.
$(VENV)/.installed-test $(VENV)/.installed-docs: $(VENV)/.installed-%: $(DECLARED) | $(BIN)/python
	$(PIP_INSTALL) --editable '.[$*]'
	@touch $(VENV)/.installed $@
