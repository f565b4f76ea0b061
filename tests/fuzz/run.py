# SPDX-License-Identifier: Apache-2.0
"""Runs a fuzz target of the Python side under Atheris: ``python -m tests.fuzz.run image --seconds 60``.

Options after ``--`` are libFuzzer's. An input that breaks a rule is written to the current folder, and
``python -m tests.fuzz.run image FILE`` repeats it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("files", nargs="*", type=Path, help="inputs to repeat, instead of fuzzing")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, default=ROOT / "build" / "fuzz" / "corpus", help="where inputs are kept")
    ours, theirs = _split(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(ours)
    target = TARGETS[options.target]
    if options.files:
        for file in options.files:
            target.run(file.read_bytes())
        return
    import atheris

    corpus = options.corpus / options.target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = ["-rss_limit_mb=6000", "-timeout=60", "-max_len=65536", "-print_final_stats=1"]
    atheris.Setup(["fuzz", f"-max_total_time={options.seconds}", *limits, *theirs, str(corpus)], target.run)
    atheris.Fuzz()


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    place = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:place], arguments[place + 1 :]


if __name__ == "__main__":
    main()
