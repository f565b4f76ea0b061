# SPDX-License-Identifier: Apache-2.0
"""Claim: importing rmbg_trt and asking rmbg-trt for help cost little beside Python itself.

By turns, each in a fresh process: an empty script, ``import rmbg_trt``, ``import rmbg_trt`` with the Engine class
(which loads the core and NumPy), and ``rmbg-trt --help``. Files are in the disk cache: the first rounds warm it.

Examples:
  python benchmarks/start_up.py
  python benchmarks/start_up.py --rounds 7 --no-save
"""

from __future__ import annotations

import subprocess
import sys

from _report import console, parser, save
from _timing import interleave, ratio, shown, spread, summary
from rich.table import Table

NOTHING = "python -c pass"
SCRIPTS = {
    NOTHING: ("pass",),
    "import rmbg_trt": ("import rmbg_trt",),
    "from rmbg_trt import Engine": ("from rmbg_trt import Engine",),
    # What the installed command runs; named so, because from a source tree there is no command.
    "rmbg-trt --help": ("from rmbg_trt.cli import main; main()", "--help"),
}


def start(arguments: tuple[str, ...]) -> None:
    subprocess.run([sys.executable, "-c", *arguments], stdout=subprocess.DEVNULL, check=True)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, default=15, help="timed runs of each (default: %(default)s)")
    options = made.parse_args()
    runs = {name: lambda arguments=arguments: start(arguments) for name, arguments in SCRIPTS.items()}
    times = interleave(runs, options.rounds)
    ours = [name for name in SCRIPTS if name != NOTHING]
    more = {name: spread([a - b for a, b in zip(times[name], times[NOTHING], strict=True)]) for name in ours}
    ratios = {name: ratio(times, name, NOTHING) for name in ours}

    table = Table(title="start-up", title_justify="left")
    for column in ("", "ms, median (quartiles)", "more than nothing, ms", "times nothing"):
        table.add_column(column)
    for name, figure in summary(times).items():
        row = ("", "1") if name == NOTHING else (shown(more[name], 1), shown(ratios[name]))
        table.add_row(name, shown(figure, 1), *row)
    console.print(table)
    save("start_up", options, {"times": summary(times), "more_than_nothing_ms": more, "times_nothing": ratios})


if __name__ == "__main__":
    main()
