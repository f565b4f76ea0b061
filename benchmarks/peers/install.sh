#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes benchmarks/.venv-peers/NAME, one environment a rival (and one of ours), so that none of them has to live with
# another's versions. Without a name: all that this machine can run.
#   benchmarks/peers/install.sh             PYTHON=python3.12 benchmarks/peers/install.sh rembg onnxruntime
#   benchmarks/peers/install.sh --list
# PyTorch, ONNX Runtime and NumPy are the versions of constraints.txt everywhere; everything else is what the rival asks
# for. Rivals that ask for PyTorch are installed without their dependencies, which are listed here: left to themselves
# they would bring gigabytes of CUDA packages. Where pip finds no CPU build of PyTorch, add PyTorch's own index:
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu benchmarks/peers/install.sh
set -eu
cd "$(dirname "$0")/../.."
home=benchmarks/.venv-peers
names="rmbg-trt onnxruntime rembg pytorch backgroundremover transparent-background"
gpu=no
if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
    gpu=yes
    names="$names tensorrt"
fi
[ "${1:-}" = --list ] && echo "$names" && exit
[ $# -gt 0 ] && names="$*"
mkdir -p "$home"
grep -E '^(torch|onnxruntime|numpy)==' constraints.txt >"$home/constraints.txt"

fresh() { # an empty environment; `pip_install` then puts things into it
    env="$home/$1"
    "${PYTHON:-python3}" -m venv --clear "$env"
    pip_install --upgrade pip
}
pip_install() { "$env/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
pinned() { pip_install --constraint "$home/constraints.txt" "$@"; }

our_wheel() { # built once for all the environments of this call; a build folder of its own disturbs no other build
    if [ -z "${wheel:-}" ]; then
        rm -rf "$home/wheel"
        [ $gpu = yes ] || export CMAKE_ARGS="-DRMBG_CUDA=OFF ${CMAKE_ARGS:-}" # nothing would run the kernels
        "$env/bin/python" -m pip wheel --quiet --no-deps --config-settings=build-dir="$home/build" -w "$home/wheel" .
        wheel=$(ls "$home"/wheel/rmbg_trt-*.whl)
    fi
}

# torchvision, for its transforms. The usual wheel is compiled against CUDA: its operators cannot be loaded beside a
# PyTorch for the CPU, and it stops over two it then does not know. No rival calls them; declaring them is enough.
torchvision() {
    pinned torch numpy pillow
    pip_install --no-deps torchvision==0.28.0
    "$env/bin/python" - <<'PYTHON'
import importlib.util
from pathlib import Path

extension = Path(importlib.util.find_spec("torchvision").origin).with_name("extension.py")
marker = "# declared by benchmarks/peers/install.sh"
if marker not in extension.read_text():
    with extension.open("a") as file:
        file.write(f"""

if not _has_ops():  {marker}
    torch.library.define("torchvision::nms", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    torch.library.define("torchvision::qnms", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
""")
PYTHON
}

# backgroundremover's video calls `ffmpeg` and `ffprobe`. Those of the system if there are; else the ffmpeg that comes
# with imageio-ffmpeg and the ffprobe that comes in an npm package; else its video is listed as not run.
ffmpeg() {
    command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null && return
    ln -sf "$("$env/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')" "$env/bin/ffmpeg"
    command -v npm >/dev/null || return 0
    archive=$(cd "$env" && npm pack --silent @ffprobe-installer/linux-x64@5.2.0) || return 0
    tar -xzf "$env/$archive" -C "$env" && mv "$env/package/ffprobe" "$env/bin/ffprobe"
    chmod +x "$env/bin/ffprobe"
    rm -rf "$env/package" "${env:?}/$archive"
}

for name in $names; do
    echo "$name"
    case $name in
    rmbg-trt)
        fresh "$name"
        our_wheel
        pinned --constraint constraints.txt "$wheel[int8,video]" scikit-image psutil
        ;;
    onnxruntime)
        fresh "$name"
        runtime=onnxruntime
        [ $gpu = no ] || runtime="onnxruntime-gpu[cuda,cudnn]"
        pip_install --constraint constraints.txt "$runtime" pillow
        ;;
    rembg) # and rmbg-trt beside it, for pre_post.py, which has both in one process
        fresh "$name"
        our_wheel
        pinned "rembg[cpu,cli]==2.0.86" "$wheel" psutil
        # Gradio, for rembg's web page, holds Pillow at 12, which resizes upright images otherwise than 13 does.
        pip_install --no-deps --upgrade --constraint constraints.txt pillow
        ;;
    pytorch)
        fresh "$name"
        our_wheel
        pinned torch
        pinned --constraint constraints.txt "$wheel[export]" opencv-python-headless
        ;;
    backgroundremover)
        fresh "$name"
        torchvision
        pip_install --no-deps backgroundremover==0.4.5
        pinned certifi charset-normalizer filelock idna PySocks six urllib3 numpy scikit-image waitress tqdm requests \
            scipy pymatting filetype hsh more_itertools moviepy Pillow pillow-heif ffmpeg-python flask setuptools
        "$env/bin/python" -c "import backgroundremover.bg"
        ffmpeg
        ;;
    transparent-background) # opencv-python-headless is opencv-python without windows, which no benchmark opens
        fresh "$name"
        torchvision
        pip_install --no-deps transparent-background==1.3.4 timm kornia
        pinned tqdm gdown wget easydict pyyaml pymatting huggingface_hub safetensors kornia_rs packaging pillow \
            opencv-python-headless albumentations
        NO_ALBUMENTATIONS_UPDATE=1 "$env/bin/python" -c "import transparent_background"
        ;;
    tensorrt) # never run: written for a machine with an NVIDIA GPU and the CUDA toolkit, which PyCUDA is built with
        fresh "$name"
        pip_install tensorrt-cu13 pycuda numpy pillow
        ;;
    *)
        echo "$name is no rival; known are $names" >&2
        exit 2
        ;;
    esac
    touch "$env/bin/peer-is-complete" # what `contenders.py` looks for
done
echo "Done. Try: $home/rmbg-trt/bin/python benchmarks/versus_peers.py --help"
