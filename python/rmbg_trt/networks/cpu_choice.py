# SPDX-License-Identifier: Apache-2.0
"""Chooses runtime and precision for a model on the CPU: the fastest that keeps the mattes of fp32.

Feature bits decide nothing. Candidates are opened and timed on this processor, and those in reduced precision are
compared with fp32. The measurements are kept (measurements.py), so a second start only reads a small file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import _core
from ..errors import ModelError, UnavailableError
from ..export.int8_checks import MIN_AGREEMENT
from ..runtimes.request import Opened, Progress, RefusedError, Request, UnsupportedNetworkError, build_progress
from .measurements import (
    Candidate,
    Choice,
    MatteCheck,
    Measurement,
    Predict,
    check_mattes,
    choice_file,
    known_choice,
    remember,
)

log = logging.getLogger("rmbg_trt")

ROUNDS = 3
CLEARLY_FASTER = 0.95  # share of the time; smaller differences are noise

MAX_MEAN_ALPHA = 0.2
"""Largest mean difference from fp32's alpha (0 to 255) that "auto" accepts."""

MIN_IOU = 0.995
"""Smallest IoU with fp32 on one photograph that "auto" accepts (``MatteCheck.worst_iou``)."""

Open = Callable[[Candidate], Opened]

_measuring = threading.Lock()  # concurrent measurements would distort the times


def candidates(runtime: str, precision: str) -> list[Candidate]:
    """The candidates for the user's options, in the order in which they are tried.

    Args:
        runtime: "auto" or one of ``CPU_RUNTIMES``.
        precision: "auto", "fp32" or "bf16".

    Returns:
        At least one. "auto" leaves out OpenVINO's bf16, which changes U²-Net's mattes visibly (docs/precision.md).
    """
    runtimes = ("native", "openvino") if runtime == "auto" else (runtime,)
    chosen = [Candidate(name, "fp32" if precision == "auto" else precision) for name in runtimes]
    if precision == "auto" and "native" in runtimes and _core.cpu_info()["bf16"]:
        chosen.append(Candidate("native", "bf16"))
    return chosen


def open_fastest(
    path: Path, wanted: Sequence[Candidate], request: Request, *, asked: bool, open_one: Open
) -> tuple[Opened | None, list[str]]:
    """Opens a model with the fastest candidate that keeps the mattes of fp32.

    Args:
        path: The model file.
        wanted: From ``candidates``.
        request: The other options.
        asked: The user named the precision. Then the bound is ``MIN_AGREEMENT``, and the model is refused below it.
        open_one: Opens the model with one candidate.

    Returns:
        The opened model, or None if nothing runs it; and why candidates do not run it, a sentence each.

    Raises:
        ModelError: The model is damaged, or its mattes in the requested precision are too far from fp32's.
        InputError: The size does not fit the model.
    """
    if len(wanted) == 1 and wanted[0].precision == "fp32":
        opened, passed_over = _open_all(wanted, open_one)
        return (opened[0][1] if opened else None), passed_over
    file = choice_file(path, wanted, request.size)
    with contextlib.nullcontext() if known_choice(file) else _measuring:
        return _open_chosen(path, file, wanted, asked=asked, open_one=open_one)


def _open_chosen(
    path: Path, file: Path, wanted: Sequence[Candidate], *, asked: bool, open_one: Open
) -> tuple[Opened | None, list[str]]:
    """As ``open_fastest``, with cached measurements or new ones."""
    known = known_choice(file)
    if known is not None:
        best = _required(known, wanted, path, asked=asked)
        try:
            return _explained(open_one(best.candidate), best, known, path, asked=asked), list(known.passed_over)
        except (UnsupportedNetworkError, UnavailableError) as error:
            log.warning("%s no longer runs %s, so candidates are measured again: %s", best.candidate, path.name, error)
    opened, passed_over = _open_all(wanted, open_one)
    if not opened:
        return None, passed_over
    if len(opened) == 1 and opened[0][0].precision == "fp32":  # no choice
        return opened[0][1], passed_over
    with build_progress(f"choice of runtime for {path.stem}") as progress:
        known = Choice(tuple(_measure(path, opened, open_one, progress)), tuple(passed_over))
    remember(file, known)
    best = _required(known, wanted, path, asked=asked)
    return _explained(dict(opened)[best.candidate], best, known, path, asked=asked), passed_over


def _open_all(wanted: Sequence[Candidate], open_one: Open) -> tuple[list[tuple[Candidate, Opened]], list[str]]:
    opened: list[tuple[Candidate, Opened]] = []
    passed_over: list[str] = []
    for candidate in wanted:
        try:
            opened.append((candidate, open_one(candidate)))
        except (UnsupportedNetworkError, UnavailableError) as error:
            reason = f"{candidate.runtime}: {error}"
            passed_over += [reason] if reason not in passed_over else []
            log.info("%s is passed over: %s", candidate, error)
    return opened, passed_over


def _measure(
    path: Path, opened: Sequence[tuple[Candidate, Opened]], open_one: Open, progress: Progress
) -> Iterator[Measurement]:
    """Times all candidates in interleaved runs and compares those in reduced precision with fp32."""
    names = ", ".join(str(candidate) for candidate, _ in opened)
    log.info("measuring (once) what runs %s fastest here: %s", path.name, names)
    networks = [model.networks[0] for _, model in opened]
    size = networks[0].input.shape[2:]
    # Noise will do: a network of convolutions takes the same time for all images.
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    x = _core.preprocess(noise, size, color="rgb")
    times = [_run_ms(network, x) for network in networks]  # also the warm-up
    for done in range(ROUNDS):
        progress("timing", done, ROUNDS)
        times = [min(best, _run_ms(network, x)) for best, network in zip(times, networks, strict=True)]
    reference = next((model for candidate, model in opened if candidate.precision == "fp32"), None)
    for (candidate, model), ms in zip(opened, times, strict=True):
        check = None
        if candidate.precision != "fp32":
            reference = reference or _reference(open_one)
            progress(f"comparing {candidate} with fp32", 0, 0)
            check = _check(_predict(reference), _predict(model), size)
        yield Measurement(candidate, round(ms, 3), check)


def _check(fp32: Predict, reduced: Predict, size: tuple[int, int]) -> MatteCheck:
    """As ``check_mattes``, but NaN or Inf, which bf16 can give where fp32 does not, counts as no agreement."""
    try:
        return check_mattes(fp32, reduced, size)
    except ModelError as error:
        log.info("%s", error)
        return MatteCheck(0, 255.0, 0.0, "NaN or Inf", 0.0)


def _reference(open_one: Open) -> Opened:
    """The model in fp32, to compare with."""
    passed_over: list[str] = []
    for candidate in candidates("auto", "fp32"):
        opened, why = _open_all([candidate], open_one)
        if opened:
            return opened[0][1]
        passed_over += why
    raise UnavailableError(f"nothing here runs the model in fp32, to compare with: {'; '.join(passed_over)}")


def _predict(opened: Opened) -> Predict:
    network = opened.networks[0]
    return lambda x: _core.run_network(network, x)


def _run_ms(network: _core.Network, x: Any) -> float:
    began = time.perf_counter()
    _core.run_network(network, x)
    return 1e3 * (time.perf_counter() - began)


def _required(known: Choice, wanted: Sequence[Candidate], path: Path, *, asked: bool) -> Measurement:
    """The fastest candidate within the bound, or the first of those about as fast.

    Raises:
        RefusedError: No candidate is within the bound.
    """
    passed = [each for each in known.measured if each.candidate in wanted and keeps(each.check, asked=asked)]
    passed = [each for each in passed if _mean_alpha(each) <= MAX_MEAN_ALPHA] or passed  # quality before speed
    if passed:
        fastest = min(each.ms for each in passed)
        return next(each for each in passed if each.ms * CLEARLY_FASTER <= fastest)
    checked = [(each.candidate, each.check) for each in known.measured if each.check]
    figures = "; ".join(f"{candidate}: agreement {check.agreement:.3f}" for candidate, check in checked)
    raise RefusedError(
        f"{path.name} loses too much in this precision ({figures}; expected at least {MIN_AGREEMENT:g}). Use "
        "precision='auto' or 'fp32'"
    )


def _mean_alpha(measurement: Measurement) -> float:
    return measurement.check.mean_alpha if measurement.check else 0.0


def keeps(check: MatteCheck | None, *, asked: bool) -> bool:
    """Whether the mattes are close enough to fp32's: for "auto", or for a precision that was asked for."""
    if check is None:
        return True
    if asked:
        return check.agreement >= MIN_AGREEMENT
    return bool(check.mean_alpha <= MAX_MEAN_ALPHA and check.worst_iou >= MIN_IOU)


def _explained(opened: Opened, best: Measurement, known: Choice, path: Path, *, asked: bool) -> Opened:
    """The opened model, with the measurements in its reason."""
    precision = best.candidate.precision
    why = f"{precision} because it was asked for" if asked else precision
    if best.check is not None:
        why += f": {best.check}"
    refused = [each for each in known.measured if each.check and not keeps(each.check, asked=False)]
    if not asked and refused:
        why += "".join(f"; {each.candidate} is not close enough: {each.check}" for each in refused)
    if len(known.measured) > 1:
        figures = ", ".join(f"{each.candidate} {each.ms:.0f} ms" for each in known.measured)
        why += f"; measured once: {figures}"
    return dataclasses.replace(opened, reason=why)
