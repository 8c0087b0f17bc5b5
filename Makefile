# What a user types. The environment is .venv/, built on first need and again when its description changes;
# results go to results/. PYTHON names the interpreter it is built from, ARGS goes to the command that is run.
#
# Which torch comes (CUDA or CPU only) is your pip's choice: point PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS at
# the wheels that you want before the first `make`.

PYTHON ?= $(shell for python in python3.11 python3; do \
  "$$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$python" && break; done)
ARGS ?=
# Many tests wait for processes that they start.
WORKERS ?= $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN))

BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0

.PHONY: help install dev map test fast numbers docs bench bench-gpu check clean
help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 14

map: .venv/runtime  ## train the laptop map and build its report (results=DIR puts it elsewhere)
	$(BIN)/observatory map experiment=laptop_map $(if $(results),results=$(results)) $(ARGS)

# Simulations run without the check of every call's types, which costs them half of their time again.
# pytest ends with 5 where ARGS leave one of the two nothing to do.
test: .venv/dev  ## all tests, fast and slow (ARGS="-k name ...")
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not statistical" $(ARGS) || test $$? = 5
	$(BIN)/python -m pytest -n auto -o addopts="--strict-markers --import-mode=importlib" -m statistical $(ARGS) || test $$? = 5

fast: .venv/dev  ## the tests of two minutes
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow and not statistical" $(ARGS)

numbers: .venv/dev  ## write the numbers in the docs that follow from stored tables and studies
	$(BIN)/python -m tests.docs_numbers

# The notebook trains the study of the demo while Sphinx runs it.
DEMO := build/docs/source/examples/results/first_map
docs: .venv/dev  ## build the site into build/docs/html; a warning or a broken link is an error
	rm -rf build/docs
	$(BIN)/python -m docs.site.assemble build/docs/source
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --jobs auto -c docs/site build/docs/source build/docs/html
	$(BIN)/observatory report $(DEMO) >/dev/null
	mkdir build/docs/html/demo && cp -r $(DEMO)/report.html $(DEMO)/report build/docs/html/demo/
	$(BIN)/python -m docs.site.links build/docs/html

bench: .venv/dev  ## the measurements of cost; wants a quiet machine
	$(BIN)/python -m pytest -o addopts="--strict-markers --import-mode=importlib" -m benchmark -s tests/benchmarks $(ARGS)

bench-gpu: .venv/dev  ## what a step costs on a GPU, in 6 minutes (ARGS=--rehearse: its code on a CPU)
	$(BIN)/python -m tests.benchmarks.gpu $(ARGS)

check: .venv/dev  ## lint, format, import directions, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

install: .venv/runtime  ## only the environment that running needs
dev: .venv/dev  ## the environment that developing needs

clean:  ## remove the environment and caches; results stay
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find observatory analysis conf sweeps tests -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with the venv module was found. Install one, or give PYTHON=/path/to/python."; exit 1; }
	$(PYTHON) -m venv .venv

.venv/runtime: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into .venv/ (once; about 2 GB, a few minutes, more where torch brings CUDA)"
	$(PIP_INSTALL) --editable '.[all]'
	@touch $@

.venv/dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into .venv/ with the developers' tools (once; about 2 GB, a few minutes)"
	$(PIP_INSTALL) --editable '.[all,dev]'
	@touch $@ .venv/runtime
