#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything that needs a GPU, on a bare CUDA machine: build for its architecture, tests/gpu, compute-sanitizer, latency.
#
#   tests/gpu/check.sh [build] [tests] [sanitizer] [latency]     # no word: all of them, about 15 minutes
#   tests/gpu/check.sh memcheck racecheck                        # some of compute-sanitizer's tools only
#
# On a machine that is yours for minutes only, take the steps one by one: what `build` made stays in build/. Results go to
# $OUT (default: build/gpu-check); RMBG_COMMIT tells them the commit where there is no repository. Where PyTorch is
# installed nothing is fetched, and what is missing is named.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
mkdir -p "${OUT:=build/gpu-check}"
out=$(cd "$OUT" && pwd)
python=${PYTHON:-python3}
steps=" ${*:-build tests sanitizer latency} "
export RMBG_FAIL_WITHOUT_CUDA=1 PYTHONUNBUFFERED=1
export RMBG_GPU_FRAMES=${RMBG_GPU_FRAMES:-10000}
failed=()

wanted() { [[ $steps == *" $1 "* ]]; }
step() { printf '\n=== %s\n' "$*"; }
must() { "$@" || { echo "FAILED: $*"; exit 1; }; }
try() { local name=$1; shift; step "$name"; "$@" || failed+=("$name, exit code $?"); }

step "machine"
must nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total --format=csv
architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d ' .')
export CMAKE_ARGS="-DRMBG_CUDA=ON -DRMBG_CUDA_ARCHITECTURES=$architecture-real"

install=("$python" -m pip install --quiet --disable-pip-version-check)
if "$python" -c "import torch" 2>/dev/null; then
  # What is here is used: a machine with a GPU often has its own PyTorch, and may have no way to another.
  must "$python" -c "
import hypothesis, onnx, PIL, platformdirs, pybind11, pytest_timeout, rich, scikit_build_core, skimage, tests, typer
assert int(PIL.__version__.split('.')[0]) >= 13, f'Pillow is {PIL.__version__}; the tests compare with 13 and later'
assert list(tests.__path__)[0].startswith('$PWD'), f'another package is in the way: {tests.__path__}'"
  site=$PWD/build/gpu-site
  export PYTHONPATH=$site${PYTHONPATH:+:$PYTHONPATH}
  install+=(--no-deps --no-build-isolation --upgrade --target "$site" .)
else
  [ -x .venv/bin/python ] || must "$python" -m venv .venv
  python=.venv/bin/python
  install=("$python" "${install[@]:1}" ".[test]")
fi

if wanted build; then
  step "build for sm_$architecture"
  must "${install[@]}"
fi
must "$python" -c "
from rmbg_trt import _core
print(_core.__file__, _core.build_info(), _core.cuda_devices())
assert _core.cuda_devices()"

wanted tests && try "tests" timeout 540 "$python" -m pytest -p no:cacheprovider tests/gpu --junitxml="$out/tests.xml"

tools=()
for tool in memcheck racecheck initcheck synccheck; do
  if wanted sanitizer || wanted "$tool"; then tools+=("$tool"); fi
done
if [ ${#tools[@]} -gt 0 ]; then
  sanitizer=$(PATH=$PATH:/usr/local/cuda/bin command -v compute-sanitizer)
  [ -n "$sanitizer" ] || echo "compute-sanitizer: not here, so not run"
  for tool in ${sanitizer:+"${tools[@]}"}; do
    try "compute-sanitizer $tool" timeout 240 "$sanitizer" --tool "$tool" --error-exitcode 9 --print-limit 20 \
      "$python" -m tests.gpu.sanitizer_run
  done
fi

if wanted latency; then
  for network in copy ${RMBG_GPU_NETWORKS:-random-u2net}; do
    tag=$(basename "$network" | tr -c 'a-z0-9\n' _)
    try "latency, $network" timeout 300 "$python" benchmarks/gpu_latency.py --network "$network" --tag "$tag"
    cp "benchmarks/results/gpu_latency_$tag.json" "$out/"
  done
fi

step "result"
if [ ${#failed[@]} -gt 0 ]; then
  printf 'FAILED: %s\n' "${failed[@]}"
  exit 1
fi
echo "all passed; figures are in $out"
