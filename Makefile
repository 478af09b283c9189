# The commands of shopsync. `make run` is the place to start; `make help` lists the others.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help run test check soak lock clean

help:
	@echo "make run    one daily sync of a local shop, from nothing: installs, starts the shop, runs, reports"
	@echo "make test   all tests"
	@echo "make check  format, lint, types, import contracts, spelling"
	@echo "make soak   the long proofs; writes docs/soak.md"
	@echo "make lock   resolve the requirements files anew"
	@echo "make clean  forget the environment and all local data"

$(READY): requirements-uv.txt requirements-dev.txt pyproject.toml
	@echo "==> Installing into .venv what requirements-dev.txt locks (about a minute the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "shopsync needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv .venv \
		|| { echo "python3 cannot make virtual environments: install it with 'apt-get install python3-venv'"; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

run: $(READY)
	@$(BIN)/python -m deployments.local run

test: $(READY)
	@echo "==> Testing: units first, then whole runs on a real Prefect server and real databases"
	@$(BIN)/python -m pytest tests

check: $(READY)
	@echo "==> Format";           $(BIN)/ruff format --check .
	@echo "==> Lint";             $(BIN)/ruff check .
	@echo "==> Types";            $(BIN)/pyright
	@echo "==> Import contracts"; $(BIN)/lint-imports
	@echo "==> Spelling";         $(BIN)/codespell shopsync tasks flows deployments tests docs *.md

soak: $(READY)
	@echo "==> The long proofs: runs that are killed at random moments, and what is left of them"
	@$(BIN)/python -m tests.soak

lock:
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal \
		--python-version 3.11 pyproject.toml --output-file requirements.txt
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal \
		--python-version 3.11 pyproject.toml --group dev --constraint requirements.txt --output-file requirements-dev.txt
	@echo uv | $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --no-annotate --universal \
		--python-version 3.11 - --constraint requirements-dev.txt --output-file requirements-uv.txt

clean:
	rm -rf .venv .shopsync
