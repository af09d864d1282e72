# Two commands do all the set-up: `make demo` and `make test`. Both need only Python 3.11+, git and make.
PYTHON ?= python3
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet install
# The tests start hundreds of processes. Where this is set, each would compile all it loads anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo demo-once test test-full check bench proof fuzz mutation docs lock clean

help:
	@echo "make demo       the whole story on this machine; stays up"
	@echo "make demo-once  the same, unattended; prints one JSON object"
	@echo "make test       the tests a bare machine can run"
	@echo "make test-full  adds what needs Debian packages, other clients' environments or more time"
	@echo "make check      formatter, linter, types, import contracts"
	@echo "make bench      the measurements docs/bench.md quotes"
	@echo "make docs       the pages that are written by the rules themselves"
	@echo "make proof      the long runs docs/proof.md quotes"
	@echo "make fuzz       ten million coverage-guided attacks on the parsers; an hour and more"
	@echo "make mutation   how many mutants of rules/ its tests kill; half an hour, later only what changed"

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("perpguard needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv

# Everything is pinned with hashes; the project itself is linked in place, built by the pinned setuptools.
.venv/.run: .venv/bin/python requirements/run.txt pyproject.toml
	$(PIP) --require-hashes -r requirements/run.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.run requirements/dev.txt
	$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

# Clients that cannot share our environment: real ones, pinned, only for the full tests.
.venv-clients/%/.done: requirements/clients/%.txt
	$(PYTHON) -m venv .venv-clients/$*
	.venv-clients/$*/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $<
	@touch $@

# The mutation tester: nothing that runs or tests the guard depends on it.
.venv-mutation/.done: requirements/mutation.txt
	$(PYTHON) -m venv .venv-mutation
	.venv-mutation/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $<
	@touch $@

# The fuzzer: nothing that runs or tests the guard depends on it. Linux, up to Python 3.13 (its wheels).
.venv-fuzz/.done: .venv/bin/python requirements/fuzz.txt
	$(PYTHON) -m venv .venv-fuzz
	.venv-fuzz/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/fuzz.txt
	@touch $@

demo: .venv/.run
	.venv/bin/perpguard demo

demo-once: .venv/.run
	@.venv/bin/perpguard demo --once --json

# Most tests wait for something, so files run side by side, one more than there are processors; a file's tests stay
# together and in order. Files come in the order of tests/conftest.py, not those of the most tests first, the quickest.
WORKERS := $(shell $(PYTHON) -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))')
BESIDE = -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: .venv/.dev
	$(PY) -m pytest -m "not full" $(BESIDE)

test-full: .venv/.dev .venv-clients/freqtrade/.done
	sh tests/install_packages.sh
	$(PY) -m pytest -m full $(BESIDE)

check: .venv/.dev
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: .venv/.dev
	sh tests/install_packages.sh
	$(PY) -m bench.decide
	$(PY) -m bench.stages
	$(PY) -m bench.door
	$(PY) -m bench.path --json bench-path.json
	$(PY) -m bench.connections
	$(PY) -m bench.relay
	$(PY) -m bench.store_trip
	$(PY) -m bench.kill_fence
	$(PY) -m bench.upstream_client
	$(PY) -m bench.kill
	$(PY) -m bench.kill_under_load
	$(PY) -m bench.slow_attacks
	$(PY) -m bench.scoreboard
	@echo "longer ones, by themselves: python -m bench.audit (a million records, half an hour), python -m bench.anomalies,"
	@echo "and those that need a file of bars; what each measures stands in bench/README.md"

proof: .venv/.dev
	PERPGUARD_PROOF=100 $(PY) -m pytest -m full -k proof
	$(PY) -m bench.soak --results results/soak

# TARGETS='http frames' attacks these only, RUNS=100000 so often each. A finding does not stop the others.
RUNS ?= 560000
fuzz: .venv-fuzz/.done
	for target in $(or $(TARGETS),$$(.venv-fuzz/bin/python -m tests.fuzz.catalogue)); do \
		.venv-fuzz/bin/python -m tests.fuzz.attack $$target $(RUNS) || true; done
	.venv-fuzz/bin/python -m tests.fuzz.replay

# Goes on where it was stopped. mutmut makes the mutants and finds out which tests reach them (it has no command for that
# alone, so one small file is named); tests.mutation.ask asks. Mutants that survived an earlier run are asked again: the
# tests may be better now.
# MUTANTS='rules.outside*' asks these only; the report then fails for the others, as long as they were not asked.
mutation: .venv-mutation/.done
	.venv-mutation/bin/python -m tests.mutation.report forget-survivors
	rm -f mutants/mutmut-stats.json
	nice -n 15 .venv-mutation/bin/mutmut run --max-children 1 'rules.resize.*'
	cd mutants && nice -n 15 ../.venv-mutation/bin/python -m tests.mutation.ask $(MUTANTS)
	.venv-mutation/bin/python -m tests.mutation.report write docs/mutation.md

docs: .venv/.dev
	$(PY) -m docs.generate

# Needs uv (`pip install uv`). --no-header and no index options keep download addresses out of the lock files.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header -q requirements/run.in -o requirements/run.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header -q requirements/dev.in -o requirements/dev.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header -q requirements/clients/freqtrade.in -o requirements/clients/freqtrade.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header -q requirements/mutation.in -o requirements/mutation.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header -q requirements/fuzz.in -o requirements/fuzz.txt

clean:
	rm -rf .venv .venv-clients .venv-mutation .venv-fuzz .fuzz mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis
