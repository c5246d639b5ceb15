# `make demo` and `make test` set up a virtual environment in .venv by themselves.
PYTHON ?= python3
WORKERS ?= auto
BIN := .venv/bin

.PHONY: demo test lint unit conformance test-pythons clean

demo: .venv/demo
	$(BIN)/python examples/digits.py

test: lint unit conformance

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: .venv/test
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

conformance: .venv/test
	$(BIN)/python tests/conformance/run_nengo_suite.py -n $(WORKERS) --dist worksteal

# Both README commands from a clean clone, on every version of Python that is found.
test-pythons:
	$(PYTHON) tests/pythons.py

.venv/%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	$(BIN)/python -m compileall -q nengo_jit
	touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis digits.png
