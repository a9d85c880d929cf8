# make up     start cortex with the bundled demo model        (ARGS="--http 127.0.0.1:8080" passes flags through)
# make test   everything that needs no GPU
# make test-long  a million damaged replies through the tool-call parsers: minutes
# make check  format, lint, types, import contracts
# make bench  measure, print tables, write build/bench/*.json
# make bench-engine  the torch engine beside transformers serve: 10 minutes, build/bench/engine.json
export PYTHONSAFEPATH := 1
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3.11
PIP := .venv/bin/python -m pip --disable-pip-version-check
UV := .venv/bin/uv pip install -q --compile-bytecode -c constraints.txt --python
PACKAGES := protocol broker edge neuron deploy
# One more than there are cores, for a test that waits for real processes leaves its core to another; each may load torch.
WORKERS := $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 8 ? cores + 1 : 8)))

.PHONY: up setup test test-long check format bench bench-engine wheel clean
up: .venv/ready
	@exec .venv/bin/cortex up $(ARGS)

setup: .venv/ready .types/ready

# $(call install,PYTHON,WHAT). uv does not read pip's find-links, where a machine may keep its own torch: pass them on.
define install
set -e; links=$$($(PIP) config list | sed -n "s/^.*find-links='\(.*\)'$$/\1/p" | head -1); \
export UV_FIND_LINKS="$${UV_FIND_LINKS:-$$links}"; \
test "$$(uname -s)" != Linux || command -v nvidia-smi >/dev/null \
  || $(UV) $(1) torch==2.13.0+cpu || $(UV) $(1) torch==2.13.0 --torch-backend cpu; \
$(UV) $(1) $(2)
endef

# Quiet but for what it does: a first `make up` is read by somebody who has never seen it.
.venv/ready: pyproject.toml constraints.txt
	@echo 'installing into .venv: some minutes the first time'
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@$(PIP) install -q -c constraints.txt uv
	@$(call install,.venv/bin/python,-e '.[dev]')
	@touch $@

# Type checkers do not follow setuptools' editable import hook: show them the mapping as links.
.types/ready: Makefile
	mkdir -p .types/cortex
	for p in $(PACKAGES); do ln -sfn ../../$$p .types/cortex/$$p; done
	touch $@

test: setup
	command -v ss >/dev/null || { apt-get update -qq && apt-get install -qq -y iproute2; } \
	  || echo "make test: no ss (iproute2) here, and it cannot be installed: one test is skipped" >&2
	tests/support/install-prometheus \
	  || echo "make test: no prometheus here, and it cannot be installed: its tests are skipped" >&2
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-long: setup
	HYPOTHESIS_PROFILE=long .venv/bin/python -m pytest -n $(WORKERS) --dist worksteal --timeout 3600 tests/protocol/toolcalls/test_fuzz.py $(ARGS)

check: setup
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy $(foreach p,$(PACKAGES),-p cortex.$(p))
	.venv/bin/lint-imports --no-logo

format: setup
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

bench: setup
	command -v wrk >/dev/null || { apt-get update -qq && apt-get install -qq -y wrk; }
	.venv/bin/python -m pytest -m bench -n 0 -s --timeout 900 --ignore tests/bench/test_engine.py --ignore tests/bench/test_loading.py tests/bench $(ARGS)

# Whom the engine is measured against lives apart: what it needs is none of ours.
build/bench/peer/ready: constraints.txt | setup
	test -x build/bench/peer/bin/python || $(PYTHON) -m venv build/bench/peer
	$(call install,build/bench/peer/bin/python,'transformers[serving]')
	touch $@

bench-engine: setup build/bench/peer/ready
	.venv/bin/python -m pytest -m bench -n 0 -s --timeout 1200 tests/bench/test_engine.py $(ARGS)
	.venv/bin/python -m pytest -m bench -n 0 -s --timeout 1200 tests/bench/test_loading.py

wheel: setup
	.venv/bin/uv build --wheel --out-dir build/dist .

clean:
	rm -rf .venv .types build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
