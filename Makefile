# SPDX-License-Identifier: Apache-2.0
# Everything a developer runs. Each target sets up what it needs on a bare machine.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Built with the environment's own tools: in pip's isolation their paths change, and each build would start over.
PIP_INSTALL := $(PIP) --no-build-isolation --constraint constraints.txt
# The package as users have it; it takes the place of the editable one (make dev).
INSTALL = rm -f $(VENV)/.editable && $(PIP_INSTALL)
EDITABLE := --config-settings=editable.rebuild=true --editable
# Each file of tests stays in one process (tests/conftest.py). Two need about 8 GiB of memory.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadgroup --no-loadscope-reorder
SITE = $$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")
CLANG_SOURCES := $(shell git ls-files '*.h' '*.c' '*.cpp' '*.cu' '*.cuh' 2>/dev/null)

.PHONY: help dev quick test demo lint layers types typed docs format bench-guard window-check gpu-check gpu-bundle sanitize fuzz \
  arm-check clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.ready:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip setuptools wheel "scikit-build-core>=0.11" "pybind11>=3.0" "cmake>=3.24" ninja
	@touch $@

# Everything to develop with: all packages, the tools, and the package itself as in `make dev`.
$(VENV)/.tools: pyproject.toml constraints.txt | $(VENV)/.ready
	RMBG_TESTS=ON $(PIP_INSTALL) $(EDITABLE) ".[dev]"
	@touch $@ $(VENV)/.editable

$(VENV)/.editable: | $(VENV)/.tools
	RMBG_TESTS=ON $(PIP_INSTALL) --no-deps $(EDITABLE) .
	@touch $@

dev: $(VENV)/.tools $(VENV)/.editable  ## editable install: Python edits are live, and an import rebuilds what csrc/ needs

# An import that rebuilds (make dev) calls cmake and ninja.
quick docs: export PATH := $(abspath $(BIN)):$(PATH)
# Once it is built, the tests take the package from build/typed: the editable one would call ninja in each process.
quick: dev typed  ## build and run the fast tests, for every save: no network, less than 2 minutes
	$(BIN)/python -c "import rmbg_trt._core"
	ln -s $(CURDIR)/build/cp*/install/platlib/rmbg_trt/_core*.so build/typed/rmbg_trt/
	PYTHONPATH=$(CURDIR)/build/typed SKBUILD_EDITABLE_SKIP=$$(echo $(CURDIR)/build/cp*) \
	  $(PYTEST) -m "not slow and not weights and not network"

demo: $(VENV)/.ready  ## build, fetch the weights, cut out a real photograph
	$(INSTALL) .
	$(BIN)/rmbg-trt models pull u2net
	mkdir -p demo
	$(BIN)/rmbg-trt image docs/images/astronaut.jpg -o demo/astronaut_cutout.png --overwrite
	$(BIN)/rmbg-trt image docs/images/astronaut.jpg -o demo/astronaut_blur.jpg --background blur --overwrite
	@echo "Done: look at demo/astronaut_cutout.png and demo/astronaut_blur.jpg"

test: export RMBG_TESTS = ON
test: $(VENV)/.ready  ## build and run all tests
	$(INSTALL) ".[test]"
	$(PYTEST)

lint: layers $(VENV)/.tools  ## style of Python and C++, layers of the package
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(CLANG_SOURCES)

# With -S the editable install of the package stays out: its folders are put together in build/typed.
layers: typed $(VENV)/.tools
	PYTHONPATH=build/typed:$(SITE) $(BIN)/python -S $(BIN)/lint-imports --no-cache

typed:
	rm -rf build/typed && mkdir -p build/typed/rmbg_trt
	ln -s $(CURDIR)/python/rmbg_trt/* $(CURDIR)/training $(CURDIR)/export build/typed/rmbg_trt/

types: typed $(VENV)/.tools  ## static types of the package
	$(BIN)/mypy

docs: typed $(VENV)/.tools  ## build the documentation site into build/site; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open the site with: $(BIN)/mkdocs serve"

format: $(VENV)/.tools  ## put Python and C++ into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CLANG_SOURCES)

bench-guard: $(VENV)/.ready  ## did anything round the network become slower? (for information)
	$(INSTALL) ".[test]"
	$(BIN)/python benchmarks/guard.py

# The tests' own OpenCV has no windows, and the one that has them must not replace it.
window-check: export RMBG_WINDOW_OPENCV = $(CURDIR)/build/opencv
window-check: export RMBG_FAIL_WITHOUT_WINDOW = 1
window-check: $(VENV)/.tools  ## the camera's window on a virtual screen; needs Xvfb (apt-get install xvfb libgl1)
	test -d build/opencv/cv2 || $(PIP) --no-deps --target build/opencv "opencv-python>=4.10"
	$(BIN)/python -m pytest tests/live/test_window_on_screen.py

gpu-check:  ## on a CUDA machine: tests/gpu (which may not skip), latency, compute-sanitizer; PART=tests, latency or sanitizer
	PYTHON=$(PYTHON) $(PYTHON) tests/gpu/check $(PART)

gpu-bundle:  ## pack what gpu-check needs on a GPU machine without a package registry
	$(PYTHON) tests/gpu/check/pack.py

# A sanitizer must be loaded before Python. What is built with one lies in build/sanitize-*.
SANITIZE_TESTS ?= tests/bindings tests/core tests/pipeline tests/postprocess tests/preprocess tests/networks/test_native.py \
  tests/networks/test_cpu_network.py tests/networks/test_cpu_network_bf16.py tests/test_engine.py tests/test_engine_errors.py \
  tests/test_engine_concurrency.py tests/test_engine_threads.py tests/test_video_matter.py tests/test_fork.py \
  tests/test_exit.py tests/test_signals.py tests/test_pil_frames.py tests/test_files.py tests/image tests/folder_job \
  tests/runtimes
sanitize: $(VENV)/.tools  ## the core's tests under AddressSanitizer and UBSan, those of threads under ThreadSanitizer
	PATH=$(abspath $(BIN)):$$PATH tests/fuzz/sanitize address,undefined $(SANITIZE_TESTS)
	PATH=$(abspath $(BIN)):$$PATH tests/fuzz/sanitize thread tests/core tests/pipeline tests/test_engine_concurrency.py tests/test_engine_threads.py

FUZZ_SECONDS ?= 60
fuzz: typed $(VENV)/.tools  ## all fuzz targets, FUZZ_SECONDS each; those of the core need clang++
	PATH=$(abspath $(BIN)):$$PATH tests/fuzz/fuzz $(FUZZ_SECONDS)

# Only on request and in CI's weekly run: it builds everything once more, and QEMU is slow.
arm-check: typed $(VENV)/.tools  ## the C++ library for aarch64 under QEMU; needs g++-aarch64-linux-gnu and qemu-user
	PATH=$(abspath $(BIN)):$$PATH python tests/arm/check.py

clean:  ## remove what was built
	rm -rf $(VENV) build dist demo
