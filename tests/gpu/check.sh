#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything that needs a GPU, on a bare CUDA machine: build for its architecture, tests/gpu, compute-sanitizer, latency.
# Results go to $OUT (default: build/gpu-check). Works without a package index where PyTorch, pybind11, scikit-build-core
# and the tests' packages are installed already.
set -uo pipefail
cd "$(dirname "$0")/../.."
out=${OUT:-build/gpu-check}
python=${PYTHON:-python3}
mkdir -p "$out"
export RMBG_FAIL_WITHOUT_CUDA=1 PYTHONUNBUFFERED=1
export RMBG_GPU_FRAMES=${RMBG_GPU_FRAMES:-10000}
failed=()

step() { printf '\n=== %s\n' "$*"; }
must() { "$@" || { echo "FAILED: $*"; exit 1; }; }
try() { local name=$1; shift; step "$name"; "$@" || failed+=("$name"); }

step "machine"
must nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total --format=csv
architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d ' .')

step "build for sm_$architecture"
export CMAKE_ARGS="-DRMBG_CUDA=ON -DRMBG_CUDA_ARCHITECTURES=$architecture-real"
if "$python" -c "import torch, pybind11, scikit_build_core, pytest, hypothesis" 2>/dev/null; then
  # What is here is used: a machine with a GPU often has its own PyTorch, and may have no way to another.
  site=$out/site
  rm -rf "$site"
  must "$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --target "$site" .
  export PYTHONPATH=$PWD/$site
else
  must "$python" -m venv .venv
  python=.venv/bin/python
  must "$python" -m pip install --quiet --disable-pip-version-check ".[test]"
fi
"$python" -c "from rmbg_trt import _core; print(_core.build_info(), _core.cuda_devices())"

try "tests" "$python" -m pytest -p no:cacheprovider tests/gpu --junitxml="$out/tests.xml"

sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null || true)
if [ -n "$sanitizer" ]; then
  for tool in memcheck racecheck initcheck synccheck; do
    try "compute-sanitizer $tool" env RMBG_GPU_FRAMES=30 "$sanitizer" --tool "$tool" --error-exitcode 9 \
      --target-processes all "$python" -m tests.gpu.sanitizer_run
  done
else
  echo "compute-sanitizer: not here, so not run"
fi

for network in copy ${RMBG_GPU_NETWORKS:-random-u2net}; do
  try "latency, $network" "$python" benchmarks/gpu_latency.py --network "$network" --tag "${network//[^a-z0-9]/_}"
done
cp benchmarks/results/gpu_latency*.json "$out/" 2>/dev/null

step "result"
if [ ${#failed[@]} -gt 0 ]; then
  printf 'FAILED: %s\n' "${failed[@]}"
  exit 1
fi
echo "all passed; figures are in $out"
