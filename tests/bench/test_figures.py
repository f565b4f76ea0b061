# SPDX-License-Identifier: Apache-2.0
"""From times to figures, with times chosen so that the figures are known."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from rmbg_trt.bench import Configuration
from rmbg_trt.bench.cold_start import of_starts, plan_of
from rmbg_trt.bench.figures import (
    Turn,
    fit_exponent,
    fit_line,
    noise,
    of_configuration,
    of_rate,
    scaling,
    spread,
    summarize,
)
from rmbg_trt.bench.loops import Arrivals

STAGES = ("copy_in_ms", "preprocess_ms", "network_ms", "postprocess_ms", "copy_out_ms")


def stage(*times: float) -> dict[str, float]:
    return {**dict(zip(STAGES, times, strict=True)), "total_ms": sum(times)}


def of_size(height: int, width: int, *turns: Turn, in_flight: int = 1) -> dict:
    return of_configuration(Configuration(height, width, "pageable", "alpha", in_flight), turns)


def test_the_hosts_part_is_what_the_stages_leave_of_each_frame() -> None:
    turn = Turn([[20.0, 31.0]], [stage(0, 2, 10, 3, 0), stage(0, 2, 20, 3, 0)], paired=True)
    found = of_size(1080, 1920, turn)
    assert turn.parts()["host"] == [5, 6]
    assert turn.parts()["outside_network"] == [10, 11]
    assert found["stages_ms"]["network"]["p50"] == 15
    assert found["frames"] == 2
    assert found["frames_per_second"] == pytest.approx(2e3 / 51, abs=1e-3)
    assert found["name"] == "1080p alpha pageable x1"
    assert found["noise"] is None


def test_where_stages_are_known_apart_medians_are_compared() -> None:
    stages = [stage(1, 2, 10, 3, 1)] * 50
    turn = Turn([[20.0, 30.0], [22.0]], stages, paired=False)
    assert turn.parts()["host"] == [22 - 17]
    assert turn.parts()["outside_network"] == [22 - 10]
    found = of_size(720, 1280, turn, in_flight=2)
    assert not found["stages_are_of_the_same_frames"]
    # A client's frames follow each other; those of two clients do not.
    assert found["latency_ms"]["jitter"] == pytest.approx((10 + 0) / 2)
    assert found["frames_per_second"] == pytest.approx(2e3 / 50 + 1e3 / 22, abs=1e-3)


def test_unknown_stages_are_left_out() -> None:
    found = of_size(720, 1280, Turn([[20.0]], [], paired=False))
    assert found["stages_ms"] == {}


def test_noise_is_between_the_turns() -> None:
    turns = [Turn([[each] * 3], [stage(0, 1, each - 2, 1, 0)] * 3, paired=True) for each in (10.0, 12.0, 11.0)]
    found = of_size(720, 1280, *turns)
    assert found["p50_over_turns_ms"]["median"] == 11
    assert found["noise"] == pytest.approx(2 / 11, abs=1e-4)
    assert len(found["turns"]) == 3
    assert found["turns"][1]["samples_ms"] == [12, 12, 12]


def test_growth_finds_slope_intercept_and_exponent() -> None:
    like = Configuration(1080, 1920, "pageable", "alpha", 1)
    rows = []
    for height, width in ((480, 854), (1080, 1920), (2160, 3840)):
        outside = 2.0 + 4.0 * height * width / 1e6
        turn = Turn([[100 + outside]], [stage(0, outside, 100, 0, 0)], paired=True)
        rows.append(of_size(height, width, turn, turn))
    rows.append(of_size(720, 1280, Turn([[9e9]], [stage(0, 0, 9e9, 0, 0)], paired=True), in_flight=2))  # not like it
    found = scaling(rows[::-1], like)
    assert found is not None
    assert found["sizes"] == ["480p", "1080p", "2160p"]
    outside = found["outside_network"]
    assert outside["slope_ms_per_megapixel"] == pytest.approx(4, abs=1e-3)
    assert outside["intercept_ms"] == pytest.approx(2, abs=1e-3)
    assert 0.5 < outside["exponent"] < 1
    assert outside["grows_no_faster_than_pixels"] is True
    assert found["end_to_end"]["intercept_ms"] == pytest.approx(102, abs=1e-3)


def test_growth_beyond_the_pixel_count_is_said() -> None:
    like = Configuration(1080, 1920, "pageable", "alpha", 1)
    rows = []
    for height, width in ((720, 1280), (1080, 1920), (2160, 3840)):
        outside = 3.0 * (height * width / 1e6) ** 1.5
        rows.append(of_size(height, width, Turn([[50 + outside]], [stage(0, outside, 50, 0, 0)], paired=True)))
    found = scaling(rows, like)
    assert found is not None
    assert found["outside_network"]["exponent"] == pytest.approx(1.5, abs=1e-3)
    assert found["outside_network"]["grows_no_faster_than_pixels"] is False
    assert scaling(rows[:1], like) is None


def test_the_figures_of_a_rate() -> None:
    held = Arrivals(10.0, [0.0, 100.0], [5.0, 7.0], 0.1, 0, workers=2)
    lost = Arrivals(10.0, [0.0, 100.0], [5.0, None], 0.3, 0, workers=2)
    found = of_rate("720p", [held, lost])
    assert found["held"] is False
    assert (found["arrived"], found["dropped"], found["dropped_share"]) == (4, 1, 0.25)
    assert found["latency_ms"]["p50"] == 5
    assert found["scheduler_late_ms"] == 0.3
    nothing = of_rate("720p", [Arrivals(10.0, [0.0], [None], 0.1, 0, workers=1)])
    assert nothing["latency_ms"] is None


def test_a_start_that_made_the_plan_is_kept_apart() -> None:
    assert plan_of("GPU because it was asked for; the plan is built now and kept") == "made now"
    assert plan_of("CPU; the checkpoint was converted to ONNX now, and kept") == "made now"
    assert plan_of("int8 because it was asked for, made now and kept; calibrated with 9 images") == "made now"
    assert plan_of("the checkpoint was converted to ONNX before (from the cache)") == "from the cache"
    assert plan_of("cuda:0 because there is a GPU; the plan is from the cache") == "from the cache"
    assert plan_of("CPU because it was asked for") == "none needed"

    def start(plan: str, engine_ms: float) -> dict:
        steps = dict.fromkeys(("python_ms", "import_ms", "first_frame_ms", "total_ms", "later_frame_ms"), 1.0)
        memory = {"memory_mib": {"peak": engine_ms}, "device_memory_mib": 0.0}
        return {**steps, "engine_ms": engine_ms, "plan": plan, **memory}

    found = of_starts([start("made now", 9000), start("from the cache", 100), start("from the cache", 120)])
    assert found is not None
    assert found["engine_ms"]["median"] == 110
    assert found["plan"] == "from the cache"
    assert len(found["starts"]) == 3
    only = of_starts([start("made now", 9000)])
    assert only is not None
    assert only["engine_ms"]["median"] == 9000
    assert of_starts([]) is None


def test_percentiles_are_those_of_the_standard_library() -> None:
    times = np.random.default_rng(3).gamma(2.0, 5.0, 1237).tolist()
    found = summarize(times)
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    assert [found[f"p{q}"] for q in (50, 90, 95, 99)] == pytest.approx(
        [cuts[q - 1] for q in (50, 90, 95, 99)], abs=1e-5
    )
    assert found["mean"] == pytest.approx(statistics.fmean(times), abs=1e-5)
    assert found["std"] == pytest.approx(statistics.pstdev(times), abs=1e-5)
    assert (found["min"], found["max"]) == pytest.approx((min(times), max(times)), abs=1e-5)


def test_jitter_looks_at_the_order() -> None:
    assert summarize([10, 12, 11, 15])["jitter"] == pytest.approx((2 + 1 + 4) / 3, abs=1e-5)
    assert summarize([10, 11, 12, 15])["jitter"] == pytest.approx(5 / 3, abs=1e-5)
    assert summarize([7.0]) == {
        "mean": 7, "std": 0, "min": 7, "p50": 7, "p90": 7, "p95": 7, "p99": 7, "max": 7, "jitter": 0,
    }  # fmt: skip


def test_noise_is_the_range_of_the_turns() -> None:
    assert noise([10.0, 11.0, 9.5]) == pytest.approx(0.15)
    assert noise([10.0]) is None
    assert spread([1, 2, 3, 4, 5]) == {"median": 3, "p25": 2, "p75": 4, "min": 1, "max": 5}


def test_lines_and_exponents_are_found_again() -> None:
    pixels = [0.41, 0.92, 2.07, 3.69, 8.29]
    slope, intercept = fit_line(pixels, [3.5 * x + 1.25 for x in pixels])
    assert (slope, intercept) == pytest.approx((3.5, 1.25))
    assert fit_exponent(pixels, [2.0 * x**0.8 for x in pixels]) == pytest.approx(0.8)
    assert fit_exponent(pixels, [0.0, 1, 1, 1, 1]) is None
