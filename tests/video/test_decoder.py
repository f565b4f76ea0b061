# SPDX-License-Identifier: Apache-2.0
"""Who decodes a clip: a GPU, the processor if none can, or a clear error if a GPU is required."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.codec.hwaccel import HWAccel
from tests.video.clips import HEIGHT, WIDTH, cutouts, left_over, make_clip, pictures

from rmbg_trt import Engine, _core
from rmbg_trt.errors import CudaError, InputError, UnavailableError
from rmbg_trt.video import decoder as decoders
from rmbg_trt.video import matte_video
from rmbg_trt.video.clip_file import ClipFile
from rmbg_trt.video.decoder import Decoder
from rmbg_trt.video.source import Source


class NoDriver:
    """In place of ``HWAccel``: no machine that runs this has the GPU that it speaks of."""

    def __init__(self, kind: str, device: str, *, allow_software_fallback: bool, options: dict[str, object]) -> None:
        assert kind == "cuda"
        raise av.PermissionError(1, f"no driver for {device}")


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "HWAccel", NoDriver)


@pytest.mark.parametrize(
    ("name", "device", "chosen"),
    [
        ("auto", "cpu", Decoder()),
        ("cpu", "cuda:1", Decoder()),
        ("auto", "cuda:1", Decoder(1)),
        ("auto", "cuda", Decoder(0)),
        ("cuda", "cuda:2", Decoder(2, required=True)),
        ("cuda", "cpu", Decoder(0, required=True)),
    ],
)
def test_which_decoder_is_chosen(name: str, device: str, chosen: Decoder) -> None:
    assert Decoder.choose(name, device) == chosen


def test_an_unknown_decoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected auto, cpu, cuda"):
        matte_video(tmp_path / "a.mp4", tmp_path / "b.mp4", decoder="nvdec", background="red")


@pytest.mark.usefixtures("no_driver")
def test_the_processor_takes_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = make_clip(tmp_path / "a.mp4", 3)
    with caplog.at_level(logging.WARNING), Source(clip, decoder=Decoder(3)) as source:
        frames = [frame.pixels.copy() for frame in source.frames()]
    assert "GPU 3 cannot decode video here" in caplog.text
    assert "no driver for 3" in caplog.text
    with Source(clip) as usual:
        assert all(np.array_equal(a, b.pixels) for a, b in zip(frames, usual.frames(), strict=True))


@pytest.mark.usefixtures("no_driver")
def test_a_gpu_that_is_required(tmp_path: Path, engine: Engine) -> None:
    clip = make_clip(tmp_path / "a.mp4", 3)
    with pytest.raises(UnavailableError, match=r"GPU 0 cannot decode video here \(.*no driver.*decoder 'cpu'"):
        matte_video(clip, tmp_path / "b.mov", engine=engine, decoder="cuda")
    assert left_over(tmp_path) == []


@pytest.mark.usefixtures("no_driver")
@pytest.mark.parametrize("required", [False, True])
def test_a_file_that_cannot_be_read_is_not_the_gpus_fault(tmp_path: Path, required: bool) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(InputError, match="cannot be read as a video"):
        ClipFile(tmp_path / "a.mp4", decoder=Decoder(0, required))


@pytest.mark.parametrize("required", [False, True])
def test_a_codec_that_no_gpu_decodes(tmp_path: Path, required: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip(tmp_path / "a.mkv", 1, codec="ffv1", pixel_format="bgr0")
    really, accelerators = av.open, []

    def open_without(path: str, hwaccel: Any = None) -> Any:
        accelerators.append(hwaccel)
        return really(path)  # as a machine whose GPU knows none of its streams

    monkeypatch.setattr(
        decoders, "HWAccel", lambda *given, allow_software_fallback, options: (*given, allow_software_fallback)
    )
    monkeypatch.setattr(decoders.av, "open", open_without)
    if required:
        with pytest.raises(UnavailableError, match=r"a\.mkv: no GPU decodes ffv1 here; use decoder 'cpu' or 'auto'"):
            ClipFile(path, decoder=Decoder(1, required=True))
    else:
        clip = ClipFile(path, decoder=Decoder(1))
        assert clip.report.notes == []
        clip.close()
    assert accelerators == [("cuda", "1", not required)]


@pytest.mark.parametrize("fails", [False, True])
def test_the_gpus_decoder_shares_the_engines_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """FFmpeg takes the context that is current while it opens the file: the GPU's primary one."""
    path = make_clip(tmp_path / "a.mp4", 1)
    really, steps = av.open, []

    class Scope:
        def __init__(self, device: int, pushed: bool = False) -> None:
            self.device, self.pushed = device, pushed

        def __enter__(self) -> None:
            steps.append(("enter", self.device, self.pushed))

        def __exit__(self, *error: object) -> None:
            steps.append("leave")

    def open_it(path: str, hwaccel: HWAccel | None = None) -> Any:
        if hwaccel is None:
            return really(path)
        steps.append((hwaccel.device_id, hwaccel.is_hw_owned, hwaccel.options))
        if fails:
            raise av.PermissionError(1, "no driver")
        return really(path)

    monkeypatch.setattr(_core, "cuda_devices", lambda: [{}, {}])
    monkeypatch.setattr(_core, "CudaDeviceScope", Scope)
    monkeypatch.setattr(decoders.av, "open", open_it)
    decoders.open_container(str(path), Decoder(1)).close()
    assert steps == [("enter", 1, True), (1, False, {"current_ctx": "1"}), "leave"]


def test_without_cuda_in_this_build_there_is_no_context_to_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip(tmp_path / "a.mp4", 1)
    really, options = av.open, []

    def open_it(path: str, hwaccel: HWAccel) -> Any:
        options.append(hwaccel.options)
        return really(path)

    monkeypatch.setattr(_core, "cuda_devices", list)
    monkeypatch.setattr(decoders.av, "open", open_it)
    decoders.open_container(str(path), Decoder(0)).close()
    assert options == [{}]


def test_ffmpeg_refuses_a_codec_without_a_gpu_decoder(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", 1, codec="ffv1", pixel_format="bgr0")
    with pytest.raises(UnavailableError, match="decoder 'cpu' or 'auto'"):
        ClipFile(path, decoder=Decoder(0, required=True))


def test_a_gpu_whose_context_cannot_be_had_leaves_it_to_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Scope:
        def __enter__(self) -> None:
            raise CudaError("out of memory")

        def __exit__(self, *error: object) -> None: ...

    path = make_clip(tmp_path / "a.mp4")
    monkeypatch.setattr(decoders, "_cuda_context", lambda gpu: (Scope(), {}))
    with decoders.open_container(str(path), Decoder(0, required=False)) as container:
        assert container.streams.video
    assert "out of memory" in caplog.text
    with pytest.raises(UnavailableError, match="out of memory"):
        decoders.open_container(str(path), Decoder(0, required=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["c.mkv", "c.mov", "c.webm", "c.webp"])
def test_our_own_results_keep_their_alpha_as_input(
    fake_engine: Callable[..., Engine], engine: Engine, tmp_path: Path, name: str
) -> None:
    """An engine that finds everything opaque: what is transparent in the result was so in the clip."""
    clip = make_clip(tmp_path / "a.mp4", 4)
    matte_video(clip, tmp_path / name, engine=engine)
    everything = fake_engine(lambda tensor: np.ones(tensor.shape[2:], np.float32), color="rgb", stretch="none")
    assert matte_video(tmp_path / name, tmp_path / "again.mkv", engine=everything).frames == 4
    for frame in pictures(tmp_path / "again.mkv", "rgba"):
        assert frame[:, :20, 3].min() >= 250
        assert frame[:, -20:, 3].max() <= 5


def test_vp8_with_alpha(tmp_path: Path) -> None:
    given = cutouts()
    with av.open(str(tmp_path / "a.webm"), "w") as out:
        stream = out.add_stream("libvpx", rate=25, options={"auto-alt-ref": "0", "crf": "4"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuva420p"
        stream.metadata["alpha_mode"] = "1"
        for pixels in given:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgba").reformat(format="yuva420p")))
        out.mux(stream.encode(None))
    with Source(tmp_path / "a.webm") as source:
        frames = [frame.pixels for frame in source.frames()]
    assert len(frames) == len(given)
    for pixels, frame in zip(given, frames, strict=True):
        assert np.abs(pixels[..., 3].astype(int) - frame[..., 3]).mean() < 12
