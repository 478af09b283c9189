# The commands of shopsync. `make run` is the place to start; `make help` lists the others.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# Where `make up` listens, on 127.0.0.1.
PREFECT_PORT ?= 4200
API_PORT ?= 8000
SHOP_PORT ?= 8100

# Where this is set every process compiles all of Prefect and pandas once more, for longer than it takes to import them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run up sync test reliability check bench soak lock clean

help:
	@echo "make run    one daily sync of a local shop, from nothing: installs, starts the shop, runs, reports"
	@echo "make up     everything, until Ctrl-C: Prefect's server and UI, a worker, a local shop, the API"
	@echo "make sync   start a daily run on what \`make up\` runs"
	@echo "make test   all tests"
	@echo "make reliability  the tests of known faults alone; writes docs/reliability.md"
	@echo "make check  format, lint, types, import contracts, spelling"
	@echo "make bench  how fast, beside what else there is; writes docs/bench.md"
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
	@$(BIN)/python -c 'import flows.daily_sync, flows.backfill'  # keeps them compiled, for whoever does without make
	@touch $@

run: $(READY)
	@$(BIN)/python -m deployments.local run

up: $(READY)
	@exec $(BIN)/python -m deployments.local up \
		--prefect-port $(PREFECT_PORT) --api-port $(API_PORT) --shop-port $(SHOP_PORT)

sync: $(READY)
	@PREFECT_API_URL=http://127.0.0.1:$(PREFECT_PORT)/api PREFECT_HOME=$(CURDIR)/.shopsync/prefect \
		$(BIN)/prefect deployment run daily-sync/daily --watch

test: $(READY)
	@echo "==> Testing: whole runs on a real Prefect server and real databases first, which take long; units last"
	@$(BIN)/python -m pytest tests --numprocesses 3 --dist loadgroup --no-loadscope-reorder --reliability check

reliability: $(READY)
	@echo "==> Showing what is survived: every fault of tests/proof/matrix.py"
	@$(BIN)/python -m pytest tests -m proves --numprocesses 3 --dist loadgroup --reliability write

check: $(READY)
	@echo "==> Format";           $(BIN)/ruff format --check .
	@echo "==> Lint";             $(BIN)/ruff check .
	@echo "==> Types";            $(BIN)/pyright
	@echo "==> Import contracts"; $(BIN)/lint-imports
	@echo "==> Spelling";         $(BIN)/codespell shopsync tasks flows deployments api tests docs *.md

bench: $(READY)
	@echo "==> Measuring beside LOAD DATA, executemany, pandas, dlt and boto3 (about ten minutes on a quiet machine)"
	@$(BIN)/python -m tests.bench

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
