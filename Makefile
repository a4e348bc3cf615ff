# Every target makes its own environment: Python 3.11 or later, make and the package registry are all it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test-fast test test-full prove lint bench docs lock

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("chandlery needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Give another: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

demo: $(READY)  ## bucket to bucket on a real S3 server, with real candles
	@$(BIN)/python demo/demo.py

test-fast: $(READY)  ## for each commit: under a minute
	$(BIN)/python -m pytest -q -m "not (s3 or slow or full)"

test: $(READY)  ## what CI runs: with a real S3 server
	$(BIN)/python -m pytest -q -m "not full"

test-full: $(READY)  ## everything
	$(BIN)/python -m pytest -q

prove: $(READY)  ## the heavy figures, on the real candles beside the repository
	$(BIN)/python benchmarks/prove.py

lint: $(READY)  ## ruff, mypy, import contracts
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## speed beside the yardstick, in turns
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,bench]'
	$(BIN)/python benchmarks/bench.py

docs: $(READY)  ## write the generated pages anew: docs/tables.md, docs/cli.md, docs/athena.sql
	$(BIN)/python docs/generate.py

lock: $(READY)  ## pin every dependency anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --no-emit-index-url --no-emit-find-links --no-annotate --no-header --extra dev --extra bench --python-version 3.11 pyproject.toml -o constraints.txt
