# `make` alone lists what there is. Everything runs in .venv, which `make setup` makes and every other target asks for.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test soak chaos lint bench bench-e2e bench-producer bench-recovery bench-peers bench-models
.PHONY: run-producer restart-producer backfill run-consumer traffic requeue query doctor sandbox-start sandbox-stop sandbox-clean

PY := .venv/bin/python
DEMO_SECONDS ?= 90
ARGS ?=
TESTS ?=
# The first Python 3.11+ that can make virtual environments; make PYTHON=... overrides.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 /usr/bin/python3; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## set up .venv from requirements.lock, KCL's jars and mongod (done by the others when it is due)
	@if [ -z "$(PYTHON)" ]; then echo "setup: no Python 3.11+ with venv found; install one (Debian: apt install python3-venv) or say make PYTHON=/path/to/python3.11" >&2; exit 1; fi
	@"$(PYTHON)" -I sandbox/setup.py

demo: setup ## the whole way on real parts for DEMO_SECONDS (90; 0: until Ctrl-C), then check every result
	@DEMO_SECONDS=$(DEMO_SECONDS) $(PY) -m sandbox demo

test: setup ## the whole test suite, with ruff, mypy and the end-to-end test (TESTS="tests/windows -k late" for a part)
	@$(PY) -m pytest -n $$(( $$(nproc) + 1 )) --maxprocesses 5 --dist loadfile --no-loadscope-reorder $(TESTS)

soak: setup ## the longer forms: a million changes, thousands of drawn streams, three demos in a row
	@EDDY_SOAK=1 $(PY) -m pytest tests/e2e tests/producer/test_backfill.py
	@EDDY_SOAK=2000 $(PY) -m pytest --timeout 3600 tests/windows tests/consumer/test_batches.py
	@for i in 1 2 3; do DEMO_SECONDS=$(DEMO_SECONDS) $(PY) -m sandbox demo || exit 1; done

chaos: setup ## load, and a fault every few seconds for CHAOS_SECONDS (1800), as SEED draws them; then every view is checked
	@$(PY) -m tests.chaos

bench: setup ## measure the window engine and the protocol; writes benchmarks/results.md, non-zero where a line is not met
	@$(PY) -m benchmarks.run $(ARGS)

bench-e2e: setup ## measure the path, from KCL's lines to the views, and how fresh they are; non-zero where a line is not met
	@missed=0; $(PY) -m benchmarks.path $(ARGS) || missed=1; $(PY) -m benchmarks.fresh || missed=1; exit $$missed

bench-recovery: setup ## kill -9 JVM, child, supervisor and a child in mid-transaction; non-zero where records do not flow in 10 s
	@$(PY) -m benchmarks.recovery $(ARGS)

bench-models: setup ## measure the models on data of known designs (some 15 minutes); writes benchmarks/results.md, non-zero where a line is not met
	@$(PY) -m benchmarks.models $(ARGS)

bench-producer: setup ## measure the relay, from a warm oplog to acknowledged records, beside a plain loop; non-zero where a line is not met
	@$(PY) -m benchmarks.producer $(ARGS)

bench-peers: setup ## the same beside Flink and Bytewax, in an environment of their own (.venv-peers)
	@$(PY) -m benchmarks.run --peers $(ARGS)

lint: setup ## ruff and mypy --strict
	@$(PY) -m ruff check --line-length 132 .
	@$(PY) -m ruff format --check --line-length 132 .
	@$(PY) -m mypy --strict compiled contract reading windows config edge models producer consumer query sandbox

run-producer: setup ## relay changes: Atlas and AWS as the environment says, else the sandbox
	@exec $(PY) -m sandbox exec -- python -m producer $(ARGS)

restart-producer: setup ## have the producer go on from another place at its next start (ARGS="--from now"; or a time, or a resume token)
	@exec $(PY) -m sandbox exec -- python -m producer restart $(ARGS)

backfill: setup ## relay what is there already, before a trigger's first start: ARGS="--trigger transactions --since 30d"
	@exec $(PY) -m sandbox exec -- python -m producer backfill $(ARGS)

run-consumer: setup ## keep the views: Atlas and AWS as the environment says, else the sandbox
	@exec $(PY) -m sandbox exec -- python -m consumer $(ARGS)

traffic: setup ## let the shop happen, ARGS="--rate 200" for more of it
	@exec $(PY) -m sandbox exec -- python -m sandbox traffic $(ARGS)

requeue: setup ## put dead letters into the stream again, each of which counts once (ARGS="--reason refused --dry-run")
	@exec $(PY) -m sandbox exec -- python -m consumer requeue $(ARGS)

query: setup ## read the views: ARGS="risks", ARGS="--help"
	@exec $(PY) -m sandbox exec -- python -m query $(ARGS)

doctor: setup ## check everything that can be wrong, and say what to do
	@exec $(PY) -m sandbox doctor

sandbox-start: setup ## start mongod, Kinesis and DynamoDB on this machine
	@$(PY) -m sandbox start

sandbox-stop: ## stop them, and what runs on them; the data stays
	@if [ -x $(PY) ]; then $(PY) -m sandbox stop; fi

sandbox-clean: ## stop them and forget their data
	@if [ -x $(PY) ]; then $(PY) -m sandbox clean; fi
