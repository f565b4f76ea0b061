# SPDX-License-Identifier: Apache-2.0
"""Tables of a report for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .compare import Comparison

_FEW = 100
_PARTS = ("copy_in", "preprocess", "network", "postprocess", "copy_out", "host")
_STEPS = {
    "python_ms": "process",
    "import_ms": "import",
    "engine_ms": "engine",
    "first_frame_ms": "first frame",
    "total_ms": "total",
    "later_frame_ms": "a later frame",
}


def of_model(model: dict[str, Any]) -> RenderableType:
    """All tables of one model."""
    return Group(*_parts(model))


def _parts(model: dict[str, Any]) -> Iterator[RenderableType]:
    info = model["info"]
    if info is not None:
        height, width = info["input_size"]
        where = f"{info['device']} ({info['device_name']}), {info['runtime']} {info['runtime_version']}"
        yield Text(f"{model['model']} {height}x{width} on {where}, {info['precision']}", style="bold")
    if model["configurations"]:
        yield _latency(model)
        if any(each["stages_ms"] for each in model["configurations"]):
            yield _stages(model)
        yield from (Text(note, style="dim") for note in _notes(model))
    if model["open_loop"]:
        yield _open_loop(model)
        yield from map(Text, _not_held(model))
    if model["cold_start"]:
        yield _cold_start(model)
    if model["scaling"]:
        yield from map(Text, _growth(model["scaling"]))
    yield from (Text(f"not run: {each['what']}: {each['why']}") for each in model["not_run"])
    if model["error"]:
        yield Text(f"{model['model']} failed: {model['error']}", style="bold red")


def _latency(model: dict[str, Any]) -> Table:
    table = _table("latency, ms", "n", "p50", "p90", "p95", "p99", "max", "jitter", "±", "fps")
    for each in model["configurations"]:
        latency = each["latency_ms"]
        cells = [_ms(latency[name]) for name in ("p50", "p90", "p95", "p99", "max", "jitter")]
        rate = _ms(each["frames_per_second"])
        table.add_row(Text(each["name"]), str(each["frames"]), *cells, _noise(each["noise"]), rate)
    return table


def _stages(model: dict[str, Any]) -> Table:
    titles = ("in", "pre", "net", "post", "out", "host", "rest")
    table = _table("stages, p50 in ms", *titles)
    for each in model["configurations"]:
        stages = each["stages_ms"]
        if stages:
            cells = [_ms(stages[name]["p50"]) if stages[name]["max"] else "-" for name in _PARTS]
            table.add_row(Text(each["name"]), *cells, _ms(stages["outside_network"]["p50"]))
    return table


def _notes(model: dict[str, Any]) -> Iterator[str]:
    yield "x: frames in flight; n: frames; jitter: mean change from frame to frame; ±: range of the repeats' p50"
    yield "in, out: copies; host: end to end minus all stages; rest: end to end minus the network"
    if any(each["frames"] < _FEW for each in model["configurations"]):
        yield f"With fewer than {_FEW} frames, p99 is close to max; use --frames or --seconds for more"
    if any(each["stages_ms"] and not each["stages_are_of_the_same_frames"] for each in model["configurations"]):
        yield "For overlapping frames and on a GPU, host is a difference of medians"


def _open_loop(model: dict[str, Any]) -> Table:
    columns = ("held", "n", "dropped", "fps", "p50", "p95", "p99", "max", "±")
    table = _table("on schedule, ms", *columns)
    for each in model["open_loop"]:
        latency = each["latency_ms"]
        cells = [_ms(latency[name]) if latency else "-" for name in ("p50", "p95", "p99", "max")]
        held = Text("yes", style="green") if each["held"] else Text("no", style="bold red")
        title = f"{each['rate']:g}/s {each['size']} x{each['in_flight']}"
        dropped = f"{each['dropped']} ({each['dropped_share']:.0%})"
        served = _ms(each["served_per_second"])
        table.add_row(title, held, str(each["arrived"]), dropped, served, *cells, _noise(each["noise"]))
    return table


def _not_held(model: dict[str, Any]) -> Iterator[str]:
    for each in model["open_loop"]:
        if not each["held"]:
            rate, served = each["rate"], each["served_per_second"]
            yield f"It does not keep up with {rate:g} frames/s: {served:.4g} are served, {each['dropped']} were dropped"


def _cold_start(model: dict[str, Any]) -> Table:
    start = model["cold_start"]
    memory = start["memory_mib"]
    table = _table("cold start", "ms", "resident MiB after")
    at = {"python_ms": "python", "import_ms": "imported", "engine_ms": "engine", "first_frame_ms": "first_frame"}
    for step, title in _STEPS.items():
        figure = start[step]
        shown = f"{figure['median']:.1f} ({figure['min']:.1f} to {figure['max']:.1f})"
        after = memory.get(at.get(step, "all_frames" if step == "later_frame_ms" else ""))
        table.add_row(title, shown, "" if after is None else f"{after:.1f}")
    if memory["peak"] is not None:
        table.add_row("at the peak", "", f"{memory['peak']:.1f}")
    if start["device_memory_mib"]:
        table.add_row("on the GPU", "", f"{start['device_memory_mib']:.1f}")
    plans = [each["plan"] for each in start["starts"]]
    made = [each for each in start["starts"] if each["plan"] == "made now"]
    caption = f"plan: {start['plan']}"
    if made and len(made) < len(plans):
        caption += f"; the first start made it: {made[0]['engine_ms'] / 1e3:.1f} s"
    table.caption = caption
    return table


def _growth(scaling: dict[str, Any]) -> Iterator[str]:
    for key, title in (("outside_network", "Outside the network"), ("end_to_end", "End to end")):
        each = scaling[key]
        ratio = each["largest_over_smallest"]
        exponent = "" if each["exponent"] is None else f", pixels^{each['exponent']:.2f}"
        yield (
            f"{title}: {each['slope_ms_per_megapixel']:.3f} ms per megapixel {each['intercept_ms']:+.2f} ms{exponent}; "
            f"{scaling['sizes'][0]} to {scaling['sizes'][-1]}: {ratio['pixels']:.3g} times the pixels, "
            f"{'?' if ratio['time'] is None else format(ratio['time'], '.3g')} times as long"
        )


def of_comparison(comparison: Comparison) -> RenderableType:
    """The comparison of B with A, and what else differs."""
    table = _table("B against A", "figure", "A", "B", "", "B / A", "noise", "")
    table.columns[1].justify = "left"
    styles = {"faster": "green", "slower": "red"}
    for row in comparison.rows:
        verdict = Text(row.verdict, style=styles.get(row.verdict, ""))
        shown = "?" if row.noise is None else f"±{row.noise:.1%}"
        cells = (_ms(row.a), _ms(row.b), row.unit, f"{row.ratio:.3f}", shown)
        table.add_row(Text(row.model), Text(row.what), *cells, verdict)
    if not comparison.rows:
        table.add_row("nothing is in both")
    return Group(*(Text(each, style="yellow") for each in comparison.differences), table)


def _table(title: str, *columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), collapse_padding=True, pad_edge=False, caption_justify="left")
    table.add_column(title, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    return table


def _ms(value: float) -> str:
    """Three significant digits, at most three after the point."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}"


def _noise(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}" if value >= 0.1 else f"{value:.1%}"
