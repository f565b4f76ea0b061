# SPDX-License-Identifier: Apache-2.0
# Everything a developer runs. Each target sets up what it needs on a bare machine.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Built with the environment's own tools: in pip's isolation their paths change, and each build would start over.
PIP_INSTALL := $(PIP) --no-build-isolation --constraint constraints.txt
CLANG_SOURCES := $(shell git ls-files '*.h' '*.cpp' '*.cu' '*.cuh' 2>/dev/null)

.PHONY: help demo test lint types typed docs format bench-guard gpu-check gpu-bundle clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.ready:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip setuptools wheel "scikit-build-core>=0.11" "pybind11>=3.0" "cmake>=3.24" ninja
	@touch $@

# The tools and what mypy looks into; the package itself is checked where it stands.
$(VENV)/.tools: pyproject.toml constraints.txt | $(VENV)/.ready
	$(PIP_INSTALL) ".[dev]"
	@touch $@

demo: $(VENV)/.ready  ## build, fetch the weights, cut out a real photograph
	$(PIP_INSTALL) .
	$(BIN)/rmbg-trt models pull u2net
	mkdir -p demo
	$(BIN)/rmbg-trt image docs/images/astronaut.jpg -o demo/astronaut_cutout.png --overwrite
	$(BIN)/rmbg-trt image docs/images/astronaut.jpg -o demo/astronaut_blur.jpg --background blur --overwrite
	@echo "Done: look at demo/astronaut_cutout.png and demo/astronaut_blur.jpg"

test: export RMBG_TEST_BINDINGS = ON
test: $(VENV)/.ready  ## build and run all tests
	$(PIP_INSTALL) ".[test]"
	$(BIN)/python -m pytest

lint: $(VENV)/.tools  ## style of Python and C++
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(CLANG_SOURCES)

typed:
	rm -rf build/typed && mkdir -p build/typed/rmbg_trt
	ln -s $(CURDIR)/python/rmbg_trt/* $(CURDIR)/training $(CURDIR)/export build/typed/rmbg_trt/

types: typed $(VENV)/.tools  ## static types of the package
	$(BIN)/mypy

docs: typed $(VENV)/.ready  ## build the documentation site into build/site; a broken link fails
	$(PIP_INSTALL) ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open the site with: $(BIN)/mkdocs serve"

format: $(VENV)/.tools  ## put Python and C++ into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CLANG_SOURCES)

bench-guard: $(VENV)/.ready  ## did anything round the network become slower? (for information)
	$(PIP_INSTALL) ".[test]"
	$(BIN)/python benchmarks/guard.py

gpu-check:  ## on a CUDA machine: tests/gpu (which may not skip), latency, compute-sanitizer; PART=tests, latency or sanitizer
	PYTHON=$(PYTHON) $(PYTHON) tests/gpu/check $(PART)

gpu-bundle:  ## pack what gpu-check needs on a GPU machine without a package registry
	$(PYTHON) tests/gpu/check/pack.py

clean:  ## remove what was built
	rm -rf $(VENV) build dist demo
