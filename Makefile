# Every target makes its own environment: Python 3.11 or later, make and the package registry are all it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WITH_SPARK := $(VENV)/.ready-with-spark
AIRFLOW := .venv-airflow
AIRFLOW_PINS := tests/deploy/airflow-constraints.txt
WITH_AIRFLOW := $(AIRFLOW)/.ready
# A process per core takes the tests of one file after the other: fixtures that start a server or Spark are of a file.
PARALLEL := -n auto --dist loadfile
# uv trusts the certificates that the machine trusts, as pip does: those of a company's network among them.
export UV_SYSTEM_CERTS ?= 1

.PHONY: help demo test-fast test test-full prove lint bench docs lock

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("chandlery needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Give another: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

$(WITH_SPARK): $(READY)  # apart: the demo needs none of its 450 MB
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,spark]'
	@touch $(WITH_SPARK)

$(WITH_AIRFLOW): $(AIRFLOW_PINS) | $(READY)  # an environment of its own: Airflow's dependencies and ours do not mix
	$(PYTHON) -m venv --clear $(AIRFLOW)
	$(BIN)/uv pip install --quiet --python $(AIRFLOW)/bin/python --no-deps --requirement $(AIRFLOW_PINS)
	@touch $(WITH_AIRFLOW)

demo: $(READY)  ## bucket to bucket on a real S3 server, with real candles
	@$(BIN)/python demo/demo.py

test-fast: $(WITH_SPARK)  ## for each commit: under a minute
	$(BIN)/python -m pytest -q -m "not (s3 or slow or full)"

test: $(WITH_SPARK) $(WITH_AIRFLOW)  ## what CI runs: with a real S3 server
	$(BIN)/python -m pytest -q $(PARALLEL) -m "not full"

test-full: $(WITH_SPARK) $(WITH_AIRFLOW)  ## everything
	$(BIN)/python -m pytest -q $(PARALLEL)

prove: $(WITH_SPARK)  ## the heavy figures, each part at most an hour: PART="tables append additions noise layouts histories requests kills spark readers"
	$(BIN)/python benchmarks/prove.py $(PART)

lint: $(WITH_SPARK)  ## ruff, mypy, import contracts, no secrets
	$(BIN)/ruff check
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(BIN)/lint-imports
	git ls-files -z | xargs -0 $(BIN)/detect-secrets-hook --plugin lint/account_numbers.py --disable-plugin IPPublicDetector --exclude-files 'tests/golden/digests\.json' --disable-filter detect_secrets.filters.heuristic.is_not_alphanumeric_string

bench: $(WITH_SPARK)  ## speed beside the yardstick, in turns
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,spark,bench]'
	$(BIN)/python benchmarks/bench.py

docs: $(WITH_SPARK)  ## write what is generated: docs/tables.md, docs/cli.md, docs/athena.sql, Terraform's tables, the pictures
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/draw_packages.py

lock: $(READY)  ## pin every dependency anew
	$(BIN)/uv pip compile --universal --no-emit-index-url --no-emit-find-links --no-annotate --no-header --extra dev --extra aws --extra spark --extra bench --python-version 3.11 pyproject.toml -o constraints.txt
	$(BIN)/uv pip compile --universal --no-emit-index-url --no-emit-find-links --no-annotate --no-header --python-version 3.11 tests/deploy/airflow-requirements.txt -o $(AIRFLOW_PINS)
