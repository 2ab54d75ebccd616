# Every target does its own set-up: a .venv beside this file, made once.
PYTHON ?= python3
BIN := .venv/bin
SHELL := /bin/bash
RUNTIMES := .venv-runtimes/bin/psgd-ref
NOTEBOOKS = $(wildcard theory/*.ipynb notebooks/*.ipynb)

# tinygrad reads an environment variable of this name as a number.
unexport PYTHON

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-bounds test-deep test-floors check notebooks lab reproduce bench lock dist site test-site test-runtimes clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: .venv/installed-base ## make .venv and install the package in it

demo: .venv/installed-base ## SGD against PSGD on digits: a table over bit-widths and a picture in out/demo
	$(BIN)/psgd-ref demo --out out/demo

test: .venv/installed-test ## run the tests (under five minutes on two cores)
	$(BIN)/pytest -n 2 --dist worksteal

test-bounds: .venv/installed-test ## run the kernels' tests with every index and every tile checked (a minute)
	PSGD_REF_CHECK=1 $(BIN)/pytest -n 2 tests/kernels/test_oracles.py tests/kernels/test_not_finite.py \
		tests/kernels/test_update.py tests/kernels/test_winograd.py

test-deep: .venv/installed-test ## every law with random seeds and 5,000 examples (hours, not minutes)
	$(BIN)/psgd-ref verify --examples 5000 --seed random

test-floors: ## run the tests with the lowest versions that pyproject.toml allows, in an environment of their own
	test -x .venv-floors/bin/python || $(PYTHON) -m venv .venv-floors
	.venv-floors/bin/python -m pip install --quiet --disable-pip-version-check --editable . $$($(PYTHON) tests/floors.py test)
	.venv-floors/bin/pytest -n 2 --dist worksteal -W default::DeprecationWarning  # old libraries beside new ones warn

check: .venv/installed-dev ## lint, format, types, directions of import
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

notebooks: .venv/installed-notebooks ## execute every notebook and keep its outputs
	NUMBA_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest --nbmake --overwrite -n 2 $(NOTEBOOKS)  # two at a time, one core each
	$(BIN)/nbstripout --keep-output --keep-count --keep-id \
		--extra-keys "metadata.language_info.version cell.metadata.execution" $(NOTEBOOKS)

lab: .venv/installed-notebooks ## open the notebooks in JupyterLab; options in LAB="--no-browser --port 9999"
	$(BIN)/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/00_quickstart.ipynb $(LAB)

site: .venv/installed-docs ## build the site in out/site: course, theory, ledger, reference, playgrounds
	$(BIN)/python notebooks/site/build.py out/site

test-runtimes: ## try an exported network in every runtime that is known, in environments of their own (gigabytes; tinygrad needs clang)
	test -x .venv-runtimes/bin/python || $(PYTHON) -m venv .venv-runtimes
	.venv-runtimes/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[runtimes]'
	test -x .venv-onnx2tf/bin/python || $(PYTHON) -m venv .venv-onnx2tf  # it wants other versions of what they share
	.venv-onnx2tf/bin/python -m pip install --quiet --disable-pip-version-check 'onnx2tf>=1.29'
	PATH="$$PWD/.venv-onnx2tf/bin:$$PATH" .venv-runtimes/bin/pytest notebooks/runtimes
	rm -rf out/runtimes
	$(RUNTIMES) train --data digits --bits 4 --epochs 10 --out out/runtimes/run
	$(RUNTIMES) export out/runtimes/run --out out/runtimes/int8.onnx --bits 4
	$(RUNTIMES) export out/runtimes/run --out out/runtimes/int4.onnx --bits 4 --container int4
	$(RUNTIMES) export out/runtimes/run --out out/runtimes/activations.onnx --bits 8 --activation-bits 8
	PATH="$$PWD/.venv-onnx2tf/bin:$$PATH" $(RUNTIMES) runtimes --data digits --images 100 --out notebooks/runtimes \
		out/runtimes/int8.onnx out/runtimes/activations.onnx out/runtimes/int4.onnx

test-site: site ## look at the site in a real browser; Chromium has to be installed
	$(BIN)/pytest notebooks/site/browser

dist: .venv/installed-dev ## build the package and use its wheel in an empty environment: the demo, then the course
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && wheel=$$(echo $(CURDIR)/dist/*.whl) && \
		cp notebooks/[0-9]*.ipynb "$$scratch" && $(PYTHON) -m venv "$$scratch/empty" && cd "$$scratch" && \
		empty/bin/python -m pip install --quiet --disable-pip-version-check "$$wheel" && \
		empty/bin/psgd-ref demo --seeds 1 && \
		empty/bin/python -m pip install --quiet --disable-pip-version-check "$$wheel[notebooks,export]" && \
		NUMBA_NUM_THREADS=1 empty/bin/python -m pytest --nbmake *.ipynb

reproduce: .venv/installed-base ## make the tables and pictures of README and notebooks again (an hour)
	$(BIN)/psgd-ref demo --out notebooks/demo
	$(BIN)/psgd-ref demo --rounding --out notebooks/demo
	for task in quantization training pruning joint; do \
		$(BIN)/psgd-ref compare --task $$task --seeds 5 --out notebooks/compare/$$task || exit; \
	done
	$(BIN)/psgd-ref reproduce all --out notebooks/figures

bench: .venv/installed-base ## time the kernels, against PyTorch where it is installed
	$(BIN)/psgd-ref bench

lock: .venv/installed-dev .venv/installed-notebooks ## write the versions that these tests passed with
	$(BIN)/pip freeze --exclude-editable > constraints.txt

clean: ## remove .venv and everything that was made
	rm -rf .venv .venv-floors .venv-runtimes .venv-onnx2tf .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis out dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "psgd_ref needs Python >= 3.11; $$($(PYTHON) --version) was found. Try: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv .venv

# One stamp for each set of extras; a changed pyproject.toml installs again, nothing else does.
.venv/installed-base: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/installed-%: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(if $(filter test,$*),test,$(if $(filter dev,$*),dev$(comma)test,$*$(comma)test))]'
	@touch $@

comma := ,
