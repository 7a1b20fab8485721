# Every target makes .venv and installs everything by itself; only Python 3.11 or newer and make have to be there.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
# The oldest releases of numpy and others exist for Python 3.11 and 3.12 only.
OLDEST_PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/.installed
OLDEST := .venv-oldest
# One process per core with one thread each is faster for many small tests than threads inside each operation.
PARALLEL := -n auto --maxprocesses 8 --dist worksteal
# make test COVERAGE= goes without, which is faster on Python 3.11.
COVERAGE := --cov --cov-report=
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PARALLEL)

# For make campaign and make mutations.
SEED := 1
COUNT := 1500

.PHONY: help demo test test-slow test-oldest campaign mutations profile check docs package wheel-test format clean

help:
	@echo "make demo         watch a Mask R-CNN learn shapes it draws itself, about 2 minutes on two cores"
	@echo "make test         the tests, and which share of the library's lines they ran"
	@echo "make test-slow    the tests that take minutes each"
	@echo "make test-oldest  the tests with the lowest version that pyproject.toml allows of each library, in .venv-oldest"
	@echo "make campaign     broken and hostile files, and killed runs: make campaign SEED=1 COUNT=1500"
	@echo "make mutations    changes of single operators that the tests do not notice: make mutations SEED=1 COUNT=60"
	@echo "make profile      time and memory beside torchvision, about 15 minutes; rewrites profiling/RESULTS.md and its chart"
	@echo "make check        linter, formatter, type checker, documentation, packages, and the coverage of the last make test"
	@echo "make docs         the documentation as a web site, in site/"
	@echo "make package      source distribution and wheel, in dist/"
	@echo "make wheel-test   the wheel in an empty environment"
	@echo "make format       let the formatter rewrite the files"
	@echo "make clean        remove the environments and what was built"

demo: $(INSTALLED)
	$(BIN)/maskrcnn demo

test: $(INSTALLED)
	$(PYTEST) $(COVERAGE)
	@test -z "$(COVERAGE)" || $(BIN)/coverage report | tail -n 1

test-slow: $(INSTALLED)
	$(PYTEST) -m slow --timeout 3600

test-oldest: $(OLDEST)/.installed
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest $(PARALLEL)

campaign: $(INSTALLED)
	$(BIN)/python -m tests.campaign $(SEED) $(COUNT)

mutations: COUNT := 60
mutations: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.campaign.operators $(SEED) $(COUNT)

profile: $(INSTALLED)
	$(BIN)/maskrcnn profile --all --json profiling/results.json
	$(BIN)/python profiling/results.py

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(MAKE) --no-print-directory docs package
	@if test -f .coverage; then $(BIN)/coverage report | tail -n 1; \
		else echo "No coverage yet: make test measures it."; fi

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

package: $(INSTALLED)
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist . >/dev/null
	$(BIN)/twine check --strict dist/*

wheel-test: package
	rm -rf build/wheel
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	cp docs/images/nuclei.png build/wheel/cells.png
	cd build/wheel && PYTHONSAFEPATH=1 bin/maskrcnn --help >/dev/null && bin/maskrcnn predict cells.png --weights nuclei
	build/wheel/bin/python -c "import json; print(len(json.load(open('build/wheel/predictions/predictions.json'))), 'predicted')"

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-oldest .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage build dist site

$(INSTALLED): pyproject.toml
	@test -n "$(PYTHON)" || { echo "maskrcnn needs Python 3.11 or newer and found none." \
		"Install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Installing into .venv, once; torch is large, so this takes a few minutes ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "$(PYTHON) cannot make a virtual" \
		"environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

$(OLDEST)/.installed: pyproject.toml tests/oldest.py
	@echo "Installing the oldest versions into $(OLDEST) ..."
	@test -x $(OLDEST)/bin/python || $(OLDEST_PYTHON) -m venv $(OLDEST)
	@$(OLDEST_PYTHON) tests/oldest.py > $(OLDEST)/requirements.txt
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $(OLDEST)/requirements.txt
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@
