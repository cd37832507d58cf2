# `make demo` and `make test` are all a newcomer needs; both create .venv on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test soak bench lint format transcript schema regulation hour networks clean

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("otklik needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: $(VENV)/.ready
	$(BIN)/otklik demo

test: $(VENV)/.ready
	$(BIN)/python -m pytest -n 2

soak: $(VENV)/.ready
	$(BIN)/python -m tests.soak

bench: $(VENV)/.ready
	$(BIN)/python -m tests.bench

transcript: $(VENV)/.ready
	$(BIN)/python -m tests.transcript

schema: $(VENV)/.ready
	$(BIN)/python -m feed.schema docs/schema

regulation: $(VENV)/.ready
	$(BIN)/python -m desk.regulation docs/regulation.md

networks: $(VENV)/.ready
	$(BIN)/python -m collectors.networks docs/networks.md

hour: $(VENV)/.ready
	$(BIN)/python -m tests.hour_page

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.ready
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
