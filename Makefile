# `make demo` and `make test` are all a newcomer needs; both create .venv on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test soak bench lint format transcript schema regulation licences lock audit hour day networks clean

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("otklik needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

# The networks' own clients check the emulators; where the index lacks one of them, those tests are skipped.
$(VENV)/.tests: pyproject.toml $(VENV)/.ready
	$(PIP) -e '.[dev]'
	$(PIP) -e '.[clients]' || echo "clients of networks were not installed: the tests that use them are skipped" >&2
	touch $@

demo: $(VENV)/.ready
	$(BIN)/otklik demo

test: $(VENV)/.tests
	$(BIN)/python -m pytest -n 2

soak: $(VENV)/.tests
	$(BIN)/python -m tests.soak

bench: $(VENV)/.tests
	$(BIN)/python -m tests.bench

transcript: $(VENV)/.tests
	$(BIN)/python -m tests.transcript

schema: $(VENV)/.tests
	$(BIN)/python -m feed.schema docs/schema
	$(BIN)/python -m feed.openapi docs/openapi.json

regulation: $(VENV)/.tests
	$(BIN)/python -m desk.regulation docs/regulation.md

networks: $(VENV)/.tests
	$(BIN)/python -m collectors.networks docs/networks.md

day: $(VENV)/.tests
	$(BIN)/python -m tests.day.page

licences: $(VENV)/.tests
	$(BIN)/python -m tests.licences docs/licences.md

# Versions that were tried together, without any index's address; resolved by pip-tools through pip's own settings.
LOCK := $(VENV)/lock
lock:
	test -x $(LOCK)/bin/pip-compile || { $(PYTHON) -m venv $(LOCK) && $(LOCK)/bin/pip install --quiet pip-tools; }
	$(LOCK)/bin/pip-compile --quiet --upgrade --no-header --no-annotate --strip-extras --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links -o requirements.lock pyproject.toml

# ADVISORIES: the dump of the ecosystem PyPI from osv.dev, fetched before; needs no network.
ADVISORIES ?= all.zip
audit: $(VENV)/.tests
	$(BIN)/python -m tests.advisories $(ADVISORIES)

hour: $(VENV)/.tests
	$(BIN)/python -m tests.hour_page

lint: $(VENV)/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.tests
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
