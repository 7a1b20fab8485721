# Every target makes .venv and installs everything by itself; only Python 3.11 or newer and make have to be there.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
BIN := .venv/bin
INSTALLED := .venv/.installed
# One process per core with one thread each is faster for many small tests than threads inside each operation.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal

.PHONY: help demo test test-slow profile check format clean

help:
	@echo "make demo       watch a Mask R-CNN learn shapes it draws itself, about 4 minutes on two cores"
	@echo "make test       the tests"
	@echo "make test-slow  the tests that take minutes each"
	@echo "make profile    time and memory beside torchvision, about 15 minutes; rewrites profiling/RESULTS.md and its chart"
	@echo "make check      linter, formatter and type checker"
	@echo "make format     let the formatter rewrite the files"
	@echo "make clean      remove the environment and the caches"

demo: $(INSTALLED)
	$(BIN)/maskrcnn demo

test: $(INSTALLED)
	$(PYTEST)

test-slow: $(INSTALLED)
	$(PYTEST) -m slow --timeout 3600

profile: $(INSTALLED)
	$(BIN)/maskrcnn profile --all --json profiling/results.json
	$(BIN)/python profiling/results.py

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

$(INSTALLED): pyproject.toml
	@test -n "$(PYTHON)" || { echo "maskrcnn needs Python 3.11 or newer and found none." \
		"Install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Installing into .venv, once; torch is large, so this takes a few minutes ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "$(PYTHON) cannot make a virtual" \
		"environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@
