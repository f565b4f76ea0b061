# SPDX-License-Identifier: Apache-2.0
"""Claim: pre- and postprocessing are at least four times as fast as rembg's.

Interleaved: rembg's own session (normalize, and the mask from the prediction) and rmbg_trt.Engine.run, both with a stub
network that returns the same stored prediction. Both take a PIL image and return a PIL mask; the NumPy row is the
engine with arrays. Before each run other memory is written, because a real network would also evict the image from the
caches. The network's input and the mask must be equal to the bit.

Needs rembg beside rmbg-trt (`benchmarks/peers/install.sh rembg`); no weights.

Examples:
  benchmarks/.venv-peers/rembg/bin/python benchmarks/pre_post.py
  RMBG_NUM_THREADS=1 benchmarks/.venv-peers/rembg/bin/python benchmarks/pre_post.py --sizes 1080x1920 --no-save
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from _photograph import photograph, size
from _report import bound, console, parser, save, show_bounds
from _stub import Stub
from _timing import interleave, ratio, rest, shown, summary
from PIL import Image
from rembg.sessions.u2net import U2netSession
from rich.table import Table

from rmbg_trt import Engine

TARGET = 0.25  # of rembg's time
RIVAL, OURS, NUMPY = "rembg", "rmbg-trt", "rmbg-trt, NumPy"
ELSEWHERE = np.zeros(64 << 20, np.uint8)  # more than the caches hold


def rembg_session(stub: Stub) -> U2netSession:
    def run(_names: object, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        stub.seen = inputs["input"]
        return [stub.prediction]

    session = U2netSession.__new__(U2netSession)  # its constructor would load the weights
    session.inner_session = SimpleNamespace(run=run, get_inputs=lambda: [SimpleNamespace(name="input")])
    return session


def between() -> None:
    np.add(ELSEWHERE, 1, out=ELSEWHERE)
    rest()


def equal_to_the_bit(stub: Stub, session: U2netSession, engine: Engine, image: Image.Image) -> dict[str, bool]:
    theirs = np.asarray(session.predict(image)[0])
    their_input = stub.seen
    ours = np.asarray(engine.run(image))
    return {"network_input": bool(np.array_equal(their_input, stub.seen)), "mask": bool(np.array_equal(theirs, ours))}


def compare(width_height: tuple[int, int], rounds: int, stub: Stub) -> dict[str, Any]:
    image = photograph("astronaut", width_height)
    array = np.array(image)
    session = rembg_session(stub)
    with stub.engine() as engine:
        equal = equal_to_the_bit(stub, session, engine, image)
        runs = {
            RIVAL: lambda: session.predict(image),
            OURS: lambda: engine.run(image),
            NUMPY: lambda: engine.run(array),
        }
        times = interleave(runs, rounds, between=between)
        stages = engine.profile()
    return {
        "times": summary(times),
        "of_rembgs_time": {name: ratio(times, name, RIVAL) for name in (OURS, NUMPY)},
        "equal_to_the_bit": equal,
        "bounds": {
            f"round the network, {'x'.join(map(str, width_height))}: of rembg's time": bound(
                ratio(times, OURS, RIVAL)["median"], at_most=TARGET
            )
        },
        "stages_ms": {name: round(stages[name], 3) for name in ("preprocess_ms", "postprocess_ms")},
    }


def show(title: str, figures: dict[str, Any]) -> None:
    table = Table(title=f"{title}: pre- and postprocessing", title_justify="left")
    for column in ("", "ms, median (quartiles)", "of rembg's time (quartiles)"):
        table.add_column(column)
    table.add_row(RIVAL, shown(figures["times"][RIVAL]), "1")
    for name, share in figures["of_rembgs_time"].items():
        table.add_row(name, shown(figures["times"][name]), shown(share, 3))
    console.print(table)
    show_bounds(figures)
    stages, equal = figures["stages_ms"], figures["equal_to_the_bit"]
    console.print(
        f"inside the engine: preprocess {stages['preprocess_ms']:.2f} ms, postprocess "
        f"{stages['postprocess_ms']:.2f} ms; equal to the bit: network input {equal['network_input']}, "
        f"mask {equal['mask']}\n"
    )


def main() -> None:
    made = parser(__doc__)
    made.add_argument(
        "--sizes", nargs="+", type=size, default=[(1920, 1080), (1080, 1920)], metavar="WxH",
        help="(default: 1920x1080 1080x1920)",
    )  # fmt: skip
    made.add_argument("--rounds", type=int, default=40, help="timed runs of each (default: %(default)s)")
    options = made.parse_args()
    stub, figures = Stub(), {}
    for width, height in options.sizes:
        name = f"{width}x{height}"
        figures[name] = compare((width, height), options.rounds, stub)
        show(name, figures[name])
    save("pre_post", options, figures)


if __name__ == "__main__":
    main()
