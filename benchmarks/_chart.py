# SPDX-License-Identifier: Apache-2.0
"""docs/images/how_fast.svg: a bar chart of the time each program takes for a photograph, from versus_peers.json."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from peers.contenders import OURS

SHOWN = {  # the name of each contender, in the order of the bars
    OURS: "rmbg-trt",
    "rmbg-trt int8": "rmbg-trt, int8",
    "rembg": "rembg",
    "onnxruntime": "ONNX Runtime + Pillow",
    "pytorch compiled": "torch.compile + OpenCV",
    "pytorch": "PyTorch + OpenCV",
    "backgroundremover kept": "backgroundremover",
    "transparent-background fast": "transparent-background, fast",
}
WIDTH, NAMES, BAR, STEP, HEAD = 860, 250, 18, 26, 34
LABEL = 170  # room behind the longest bar


def chart(figures: dict[str, Any], models: tuple[str, ...] = ("u2net", "u2netp")) -> str:
    """An SVG with one group of bars per model.

    Args:
        figures: Of versus_peers.json.
        models: The groups, in their order; a model without a result is left out.
    """
    parts: list[str] = []
    y = 8
    for model in (each for each in models if OURS in figures.get(each, {}).get("times", {})):
        times = {name: figures[model]["times"][name]["median"] for name in SHOWN if name in figures[model]["times"]}
        shares = figures[model]["ours_is_times_as_fast"]
        parts.append(_text(8, y + 17, f"{model}: one 1920×1080 photograph to its mask", "bold"))
        y += HEAD
        for name, time_ms in times.items():
            parts += _bar(y, name, time_ms, max(times.values()), shares[name]["median"])
            y += STEP
        y += 12
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" '
        'font-family="system-ui, sans-serif" font-size="14">'
    )
    return "\n".join([head, f'<rect width="{WIDTH}" height="{y}" rx="6" fill="#ffffff"/>', *parts, "</svg>"]) + "\n"


def _bar(y: int, name: str, time_ms: float, longest_ms: float, of_ours: float) -> list[str]:
    width = max(1, round((WIDTH - NAMES - LABEL) * time_ms / longest_ms))
    color = "#0b6e4f" if name.startswith(OURS) else "#b4bcc4"
    slower = f", {of_ours:.1f}× slower" if of_ours > 1.05 else ""
    return [
        _text(NAMES - 10, y + 14, SHOWN[name], "bold" if name == OURS else "normal", "end"),
        f'<rect x="{NAMES}" y="{y}" width="{width}" height="{BAR}" rx="2" fill="{color}"/>',
        _text(NAMES + width + 8, y + 14, f"{time_ms:,.0f} ms{slower}"),
    ]


def _text(x: int, y: int, text: str, weight: str = "normal", anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" font-weight="{weight}" text-anchor="{anchor}" fill="#1f2933">{escape(text)}</text>'
