# make run    set up, find a ticket on the embedded digits, write a report
# make test   set up, lint, check types, run the tests
# make test-slow   set up, run the checks that take long or need real data
# make bench  set up, measure speed as ratios
# make docs   set up, build the documentation into site/, warnings are errors, check its links
# make wheel  set up, build a wheel and a source archive into dist/

PYTHON ?= python3
# The pinned build comes first, so that no later step brings another one in. For a GPU, name a CUDA build here.
TORCH ?= torch==2.13.0
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready

.PHONY: run test test-slow lint types bench docs wheel clean

run: $(READY)
	$(BIN)/lth find-ticket

test: lint types
	$(BIN)/pytest -n 2 -m "not slow"

test-slow: $(READY)
	$(BIN)/pytest -n 2 -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m bench

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	$(BIN)/python docs/_site/check.py site

wheel: $(READY)
	$(BIN)/python -m build --no-isolation --outdir dist .

$(READY): pyproject.toml
	@echo "setting up $(VENV): a few minutes, most of them for PyTorch and its libraries"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $(READY)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
