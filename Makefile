# The workbook's commands. `make` alone prints them.
# Any of them sets up .venv first, from exact pins, and does nothing where nothing changed.

STUDY ?= demo
SET ?=
FORCE ?=
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

export SET STUDY # reach the shell as they are, quotes and all
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup report plan verify why check data test test-all lint audit lab bench lock clean

help: ## show this list
	@echo "make report                     run the demo study: outputs/demo/index.html"
	@echo "make report STUDY=isic2016      another study (a folder of params/); SET=\"epochs=2 seeds=[0]\" overrides"
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## set up .venv and the ImageNet weights (the other commands do it by themselves)

report: $(READY) ## run a study's notebooks and render its pages; FORCE=1 executes even unchanged notebooks (runs are kept)
	@exec $(BIN)/seglib report "$$STUDY" --set "$$SET" --with-parent $$PPID $(if $(filter-out 0,$(FORCE)),--force)

why: $(READY) ## tell for each notebook and run of a study whether it would be done, and what has changed
	@$(BIN)/seglib why "$$STUDY" --set "$$SET"

check: $(READY) ## check a study's parameters, data and weights; run nothing
	@$(BIN)/seglib check "$$STUDY" --set "$$SET"

data: $(READY) ## download, verify, unpack and check a study's data
	@$(BIN)/seglib data "$$STUDY" --set "$$SET"

plan: $(READY) ## tell the runs, time, disk space and memory of a study; train nothing
	@$(BIN)/seglib plan "$$STUDY" --set "$$SET"

verify: $(READY) ## train a sample of a study's runs again and compare; SAMPLE=10%, SAMPLE=all
	@$(BIN)/seglib verify "$$STUDY" --set "$$SET" --sample $(or $(SAMPLE),3)

PARALLEL := -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder # a file's tests share what it made once
test: $(READY) ## run the tests
	@$(BIN)/python -m pytest $(PARALLEL) -m 'not long'

test-all: $(READY) ## run the tests, the long ones too
	@$(BIN)/python -m pytest $(PARALLEL)

lint: $(READY) ## check style of code and notebooks
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

audit: $(READY) ## list known advisories for the pinned packages (asks api.osv.dev)
	@$(BIN)/python -m seglib.audit

lab: $(READY) ## open JupyterLab on its start page; PORT=9000 for another port than 8888
	@JUPYTER_CONFIG_PATH='$(CURDIR)/.jupyter'"$${JUPYTER_CONFIG_PATH:+:$$JUPYTER_CONFIG_PATH}" \
	  $(BIN)/jupyter lab --ServerApp.root_dir='$(CURDIR)' --LabApp.default_url=/lab/tree/notebooks/README.md \
	  $(if $(PORT),--ServerApp.port=$(PORT)) $(if $(filter 0,$(shell id -u)),--allow-root)

bench: $(VENV)/.bench ## measure speed beside other trainers: outputs/bench/index.html
	@$(BIN)/python -m bench.train

LOCKED := --extra dev --extra export --extra sam --extra tensorboard
lock: ## renew requirements.lock from pyproject.toml (needs uv)
	@uv pip compile -q --universal --generate-hashes --no-header $(LOCKED) --python-version 3.11 \
	  pyproject.toml -o requirements.lock
	@uv pip compile -q --universal --generate-hashes --no-header $(LOCKED) --extra bench --python-version 3.11 \
	  -c requirements.lock pyproject.toml -o bench/requirements.lock

clean: ## remove reports; finished runs stay
	@find outputs -mindepth 1 -maxdepth 1 ! -name runs ! -name .locks ! -name README.md -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, $(PYTHON) is not; name one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@if command -v uv >/dev/null; then \
	  echo "setting up $(VENV) with uv"; \
	  uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
	  uv pip sync --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock && \
	  uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	else \
	  echo "setting up $(VENV) with pip"; \
	  $(call INSTALL,--require-hashes -r requirements.lock) && \
	  $(call INSTALL,--quiet --no-deps --no-build-isolation -e .); \
	fi
	@echo "fetching the ImageNet weights" && $(BIN)/seglib weights
	@touch $@

$(VENV)/.bench: $(READY) bench/requirements.lock
	@echo "adding what the benchmarks measure against"
	@if command -v uv >/dev/null; then \
	  uv pip install --quiet --python $(BIN)/python --require-hashes -r bench/requirements.lock; \
	else \
	  $(call INSTALL,--quiet --require-hashes -r bench/requirements.lock); \
	fi
	@touch $@

# Debian's python3 may lack ensurepip: then its own pip, if there is one, installs into a .venv without pip.
INSTALL = { [ -x $(BIN)/pip ] || $(PYTHON) -m venv $(VENV) 2>/dev/null || $(PYTHON) -m venv --without-pip $(VENV); } && \
  if [ -x $(BIN)/pip ]; then $(BIN)/pip install --disable-pip-version-check $(1); \
  elif $(PYTHON) -m pip --version >/dev/null 2>&1; then $(PYTHON) -m pip --python $(BIN)/python install $(1); \
  else echo "$(PYTHON) has neither venv's ensurepip nor pip; install uv, python3-venv or python3-pip"; exit 1; fi
