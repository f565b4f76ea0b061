#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes benchmarks/.venv-rivals: rembg and rmbg-trt side by side, with the same NumPy, Pillow and ONNX Runtime
# (constraints.txt pins them), so that a comparison is one of programs and not of their dependencies.
#   benchmarks/install_rivals.sh            PYTHON=python3.12 benchmarks/install_rivals.sh
set -eu
cd "$(dirname "$0")/.."
venv=benchmarks/.venv-rivals
"${PYTHON:-python3}" -m venv "$venv"
grep -v '^scikit-image' constraints.txt >"$venv/constraints.txt" # rembg asks for a later one
pip="$venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint $venv/constraints.txt"
$pip --upgrade pip
$pip "rembg[cpu]==2.0.86" onnx psutil scikit-image
$pip ".[cpu]"
echo "Done. Try: $venv/bin/python benchmarks/versus_rembg.py --help"
