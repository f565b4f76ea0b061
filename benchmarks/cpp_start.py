# SPDX-License-Identifier: Apache-2.0
"""Claim: a C++ program has the first mask of a 1080p photograph a quarter of a second after its start.

Builds the library and examples/cpp into build/cpp, exports the model, and times whole processes, from start to exit:
the example cut_out (it reads a PPM file, opens the model file, and writes the mask) and Python with the same model
file. Weights are on disk and in the disk cache; runs are interleaved.

Needs cmake, ninja and a C++ compiler.

Examples:
  python benchmarks/cpp_start.py
  python benchmarks/cpp_start.py --model u2net --rounds 5 --no-save
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from _photograph import photograph
from _report import ROOT, bound, console, parser, save, show_bounds
from _timing import interleave, shown, summary
from rich.table import Table

from rmbg_trt.networks.native_export import export_native

LIMIT_MS = {"u2netp": 250}
SIZE = (1920, 1080)
PYTHON = """
import sys
import numpy as np
from PIL import Image
from rmbg_trt import Engine
with Engine(sys.argv[1], device="cpu", color="rgb", slots=1) as engine:
    Image.fromarray(engine.run(np.asarray(Image.open(sys.argv[2])))).save(sys.argv[3])
"""


def build() -> Path:
    """Builds library and examples; returns the program."""
    tree, prefix, examples = (ROOT / "build" / "cpp" / name for name in ("library", "installed", "examples"))
    release = ("-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release")
    for command in (
        ("cmake", *release, "-S", ROOT, "-B", tree, "-DRMBG_PYTHON=OFF", "-DRMBG_CUDA=OFF"),
        ("cmake", "--build", tree),
        ("cmake", "--install", tree, "--prefix", prefix),
        ("cmake", *release, "-S", ROOT / "examples" / "cpp", "-B", examples, f"-DCMAKE_PREFIX_PATH={prefix}"),
        ("cmake", "--build", examples),
    ):
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return examples / "cut_out"


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--model", default="u2netp", help="a catalogue name or a file (default: %(default)s)")
    made.add_argument("--rounds", type=int, default=15, help="timed runs of each (default: %(default)s)")
    options = made.parse_args()
    program = build()
    with tempfile.TemporaryDirectory() as folder:
        model, image, mask = (Path(folder) / name for name in ("model.rmbg", "in.ppm", "mask.pgm"))
        export_native(options.model, model)
        photograph("astronaut", SIZE).save(image)
        commands = {
            f"C++, {precision}": (program, model, image, mask, "alpha", precision) for precision in ("auto", "fp32")
        }
        commands["Python"] = (sys.executable, "-c", PYTHON, model, image, mask)
        runs = {
            name: lambda command=command: subprocess.run(command, capture_output=True, check=True)
            for name, command in commands.items()
        }
        chosen = subprocess.run(commands["C++, auto"], capture_output=True, text=True, check=True).stderr.strip()
        times = interleave(runs, options.rounds)

    figures = {"times": summary(times), "auto": chosen}
    limit = LIMIT_MS.get(options.model)
    if limit is not None:
        median = figures["times"]["C++, auto"]["median"]
        figures["bounds"] = {f"{options.model}: start to first mask in C++": bound(median, at_most=limit, unit="ms")}
    table = Table("", "ms, median (quartiles)", title=f"{options.model}, process start to exit", title_justify="left")
    for name, figure in summary(times).items():
        table.add_row(name, shown(figure, 0))
    console.print(table)
    console.print(f"auto: {chosen}")
    show_bounds(figures)
    save("cpp_start", options, figures)


if __name__ == "__main__":
    main()
