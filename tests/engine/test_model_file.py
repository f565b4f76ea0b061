# SPDX-License-Identifier: Apache-2.0
"""Model files: the layout on disk, and what is refused. The files are made with struct and zlib (model_files.py)."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from tests import make
from tests.engine import model_files
from tests.engine.model_files import ADD, CONCAT, CONV, MAX_POOL, RESIZE, SIGMOID, Section, graph, pack, small, unpack

from rmbg_trt import ModelError, _core
from rmbg_trt.recipe import MEAN, STD

CONV_LAYER = (CONV, 1, 0, 1, 1, 1, 0, 1)


def read(tmp_path: Path, data: bytes) -> _core.ModelFile:
    path = tmp_path / "m.rmbg"
    path.write_bytes(data)
    return _core.read_model_file(str(path))


def test_a_file_made_by_hand_is_read(tmp_path: Path) -> None:
    model = read(tmp_path, small())
    assert model.graph.shape(0) == (3, 4, 5)
    assert model.normalization == (list(MEAN), list(STD))
    assert model.centres.size == 0
    assert not model.keeps_mattes
    x = make.noise(4, 5, 3).transpose(2, 0, 1)[None].astype(np.float32) / 255
    expected = 1 / (1 + np.exp(-(0.5 * x[:, :1] - 0.25 * x[:, 1:2] + 0.125 * x[:, 2:] + np.float32(0.1))))
    np.testing.assert_allclose(_core.CpuModel(model.graph).network().run(x), expected, atol=1e-6)


def test_what_is_written_has_the_layout_of_the_one_made_by_hand(tmp_path: Path) -> None:
    model = read(tmp_path, small())
    assert _core.model_file_bytes(model.graph, np.zeros(0, np.float32), False, MEAN, STD) == small()


def test_all_layers_survive(tmp_path: Path) -> None:
    built = _core.CpuGraph(3, 9, 7)
    random = np.random.default_rng(1)

    def conv(x: int, cin: int, cout: int, dilation: int = 1) -> int:
        shape = (cout, cin, 3, 3)
        return built.conv(
            x, random.normal(0, 0.2, shape).astype("f4"), random.normal(0, 1, cout).astype("f4"), dilation
        )

    first = built.relu(conv(0, 3, 16))
    up = built.resize(conv(built.max_pool(first), 16, 16, 2), 9, 7, "align_corners")
    joined = built.concat([built.add(first, up), built.resize(built.max_pool(up), 9, 7, "pytorch_half_pixel")])
    built.set_output(built.sigmoid(conv(joined, 32, 1)))
    data = _core.model_file_bytes(built, np.arange(3, dtype=np.float32), True, MEAN, STD)
    again = read(tmp_path, data)
    np.testing.assert_array_equal(again.centres, [0, 1, 2])
    assert again.keeps_mattes
    x = random.normal(size=(1, 3, 9, 7)).astype(np.float32)
    networks = [_core.CpuModel(each).network() for each in (built, again.graph)]
    np.testing.assert_array_equal(networks[0].run(x), networks[1].run(x))
    assert _core.model_file_bytes(again.graph, again.centres, True, MEAN, STD) == data
    (tmp_path / "m.rmbg").unlink()  # the mapping stays
    np.testing.assert_array_equal(_core.CpuModel(again.graph).network().run(x), networks[0].run(x))


class TestContainer:
    def test_unknown_sections_are_skipped_unless_the_file_forbids_it(self, tmp_path: Path) -> None:
        sections = unpack(small())
        read(tmp_path, pack({"notes": Section(b"of a later version", required=False), **sections}))
        with pytest.raises(
            ModelError, match="needs the section 'notes', which this rmbg-trt does not know; use a newer"
        ):
            read(tmp_path, pack({**sections, "notes": Section(b"of a later version")}))

    def test_an_unknown_section_may_be_damaged(self, tmp_path: Path) -> None:
        data = pack({**unpack(small()), "notes": Section(b"text", required=False)})
        read(tmp_path, data[:-1] + b"!")

    @pytest.mark.parametrize("name", ["graph", "recipe", "weights"])
    def test_missing_and_damaged_sections(self, name: str, tmp_path: Path) -> None:
        sections = unpack(small())
        data = bytearray(small())
        data[data.index(sections[name].data) + 2] ^= 1
        with pytest.raises(ModelError, match=f"has a damaged section '{name}' .wrong checksum."):
            read(tmp_path, bytes(data))
        del sections[name]
        with pytest.raises(ModelError, match=f"has no section '{name}'; copy the file again"):
            read(tmp_path, pack(sections))

    def test_no_other_length_is_accepted(self, tmp_path: Path) -> None:
        data = small()
        for length in (*range(0, len(data), 5), len(data) - 1):
            with pytest.raises(ModelError, match=r"m\.rmbg: "):
                read(tmp_path, data[:length])
        with pytest.raises(ModelError, match=f"has {len(data) + 1} bytes; its header says {len(data)}"):
            read(tmp_path, data + b"\0")

    def test_every_changed_byte_of_header_and_table_is_noticed(self, tmp_path: Path) -> None:
        data = small()
        for index in range(32 + 3 * 48):
            with pytest.raises(ModelError):
                read(tmp_path, data[:index] + bytes([data[index] ^ 0x40]) + data[index + 1 :])

    def test_other_files_and_versions(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="is no rmbg-trt model file, or was damaged by a transfer as text"):
            read(tmp_path, small().replace(b"\r\n", b"\n") + b"\0")
        with pytest.raises(ModelError, match=r"has version 2; this rmbg-trt reads version 1\. Export the model again"):
            read(tmp_path, pack(unpack(small()), version=2))
        with pytest.raises(ModelError, match="has 0 bytes; a model file has at least 32"):
            read(tmp_path, b"")
        with pytest.raises(ModelError, match=r"none\.rmbg: cannot be read: No such file"):
            _core.read_model_file(str(tmp_path / "none.rmbg"))
        with pytest.raises(ModelError, match="cannot be read: it is not a file"):
            _core.read_model_file(str(tmp_path))

    @pytest.mark.parametrize(
        ("offset", "length"), [(33, 1), (64, 1 << 63), (1 << 63, 64), (0, 64), ((1 << 64) - 64, 128), (1 << 40, 0)]
    )
    def test_sections_outside_the_file(self, offset: int, length: int, tmp_path: Path) -> None:
        data = bytearray(small())
        struct.pack_into("<QQ", data, 32 + 24, offset, length)
        struct.pack_into("<I", data, 24, zlib.crc32(data[32 : 32 + 3 * 48]))
        struct.pack_into("<I", data, 28, zlib.crc32(data[:28]))
        with pytest.raises(ModelError, match=f"section 'graph' at byte {offset} of {length} bytes, which does not fit"):
            read(tmp_path, bytes(data))

    def test_two_sections_of_one_name(self, tmp_path: Path) -> None:
        data = pack({"graph": Section(b""), "graphx": Section(b"")}).replace(b"graphx", b"graph\0")
        table = zlib.crc32(data[32:128])
        header = data[:24] + struct.pack("<I", table)
        with pytest.raises(ModelError, match="has two sections 'graph'"):
            read(tmp_path, header + struct.pack("<I", zlib.crc32(header)) + data[32:])


class TestGraph:
    @pytest.mark.parametrize(
        ("section", "words"),
        [
            (b"", "it ends early"),
            (graph(CONV_LAYER)[:-4], "layer 0: it ends early"),
            (graph(CONV_LAYER) + b"\0", "bytes after the last layer"),
            (graph((0, 1, 0)), "its kind is 0; expected 1 to 7"),
            (graph((8, 1, 0)), "its kind is 8; expected 1 to 7"),
            (graph((SIGMOID, 2, 0, 0)), "it has 2 inputs; expected 1"),
            (graph((ADD, 1, 0)), "it has 1 inputs; expected 2"),
            (graph((SIGMOID, 1, 1)), "value 1 does not exist"),
            (graph((SIGMOID, 1, 0xFFFFFFFF)), "a number is 4294967295"),
            (graph((CONCAT, 0)), "a concatenation has no inputs"),
            (graph((CONCAT, 0xFFFFFFFF, 0)), "it ends early"),
            (graph((CONV, 1, 5, 1, 1, 1, 0, 1)), "its input is value 5, which comes later"),
            (graph((CONV, 1, 0, 2, 1, 1, 0, 1)), "it is 2 wide; expected 1 or 3"),
            (graph((CONV, 1, 0, 1, 0, 1, 0, 1)), "dilation is 0; expected 1 to 4096"),
            (graph((CONV, 1, 0, 3, 0x7FFFFFFF, 1, 0, 1)), "27 weights at byte 0 do not fit the section of 68 bytes"),
            (graph((CONV, 1, 0, 1, 0x7FFFFFFF, 1, 0, 1)), "dilation is 2147483647; expected 1 to 4096"),
            (graph((CONV, 1, 0, 1, 1, 0, 0, 1)), "convolution has 0 weights"),
            (graph((CONV, 1, 0, 1, 1, 0xFFFFFFFF, 0, 1)), "12884901885 weights at byte 0 do not fit"),
            (graph((CONV, 1, 0, 1, 1, 1, 2, 1)), "3 weights at byte 128 do not fit the section of 68 bytes"),
            (graph((CONV, 1, 0, 1, 1, 1, 0xFFFFFFFF, 1)), "3 weights at byte 274877906880 do not fit"),
            (graph(CONV_LAYER, *[CONV_LAYER] * 5), "do not fit the section"),  # arrays may not share memory
            (graph((RESIZE, 1, 0, 5, 5, 3)), "its coordinates are 3"),
            (graph((RESIZE, 1, 0, 0, 5, 0)), "every side must be at least 1"),
            (graph((RESIZE, 1, 0, 60000, 60000, 0)), "too large"),
            (graph((CONV, 1, 0, 1, 1, 1, 0, 1), size=(3, 0, 5)), "every side must be at least 1"),
            (graph(CONV_LAYER, size=(3, 4, 0x80000000)), "a number is 2147483648"),
            (graph(*[(CONCAT, 4, i, i, i, i) for i in range(40)]), "expected at most 16384 channels"),
            (graph(*[(SIGMOID, 1, 0)] * 4097), "has 4097 layers; expected at most 4096"),
            (graph(CONV_LAYER, output=7), "value 7 does not exist"),
        ],
    )
    def test_what_is_refused(self, section: bytes, words: str, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"has a wrong graph.*; export the model again") as raised:
            read(tmp_path, small(graph=section))
        assert words in str(raised.value)

    @pytest.mark.parametrize(
        ("section", "words"),
        [
            (graph((SIGMOID, 1, 0)), r"maps (3, 4, 5) to (3, 4, 5); expected (3, height, width) to (1, height, width)"),
            (graph(CONV_LAYER, size=(3, 4, 5000)), "expected sides up to 4096"),
        ],
    )
    def test_networks_that_are_no_mattes(self, section: bytes, words: str, tmp_path: Path) -> None:
        with pytest.raises(ModelError) as raised:
            read(tmp_path, small(graph=section))
        assert words in str(raised.value)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_weights_that_are_no_numbers(self, value: float, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="layer 0: its weights hold NaN or Inf"):
            read(tmp_path, small(weights=model_files.weights(np.array([0.5, value, 0]), np.array([0.1]))))

    def test_activations_of_absurd_size(self, tmp_path: Path) -> None:
        doubled = [(CONCAT, 2, i, i) for i in range(1, 12)]  # 3 to 6144 channels
        layers = [(RESIZE, 1, 0, 4096, 4096, 0), *doubled, (CONV, 1, 12, 1, 1, 1, 0, 384)]
        sections = {"graph": graph(*layers), "weights": model_files.weights(np.zeros(6144), np.zeros(1))}
        with pytest.raises(ModelError, match="GiB for its activations; expected at most 16: export it for a smaller"):
            read(tmp_path, small(**sections))

    @pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
    def test_hostile_files_take_no_memory(self, tmp_path: Path) -> None:
        """In a process that may have 600 MiB more than it starts with."""
        hostile = [
            graph((CONCAT, 0x7FFFFFFF, 0)),
            graph((CONV, 1, 0, 1, 1, 0x7FFFFFFF, 0, 1)),
            graph(*[(CONCAT, 4, i, i, i, i) for i in range(40)]),
            graph(*[(MAX_POOL, 1, i) for i in range(4000)], CONV_LAYER),
        ]
        for index, section in enumerate(hostile):
            (tmp_path / f"{index}.rmbg").write_bytes(small(graph=section))
        script = (
            "import resource, sys\nfrom rmbg_trt import _core, ModelError\n"
            "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
            "resource.setrlimit(resource.RLIMIT_AS, (size + (600 << 20),) * 2)\n"
            "for path in sys.argv[1:]:\n"
            "    try: _core.read_model_file(path)\n    except ModelError: pass\n"
            "print('fine')"
        )
        paths = [str(tmp_path / f"{index}.rmbg") for index in range(len(hostile))]
        done = subprocess.run([sys.executable, "-c", script, *paths], capture_output=True, text=True, check=False)
        assert done.stdout.strip() == "fine", done.stderr


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (b"", "has a recipe of 0 bytes; expected 72"),
        (struct.pack("<6d3I2fI", 0.5, 0.5, 0.5, 0.2, 0.0, 0.2, 0, 0, 0, 0, 1, 0), "has a wrong recipe: mean 0.5"),
        (struct.pack("<6d3I2fI", np.nan, 0.5, 0.5, 0.2, 0.2, 0.2, 0, 0, 0, 0, 1, 0), "has a wrong recipe: mean nan"),
        (struct.pack("<6d3I2fI", *MEAN, *STD, 1, 0, 0, 0, 1, 0), "divides images by something else than their maximum"),
        (struct.pack("<6d3I2fI", *MEAN, *STD, 0, 3, 0, 0, 1, 0), "has a wrong recipe: filter is 3"),
        (struct.pack("<6d3I2fI", *MEAN, *STD, 0, 0, 2, 0, 1, 0), "has a wrong recipe: stretch is 2"),
        (struct.pack("<6d3I2fI", *MEAN, *STD, 0, 0, 1, 0.5, 0.5, 0), "expected 0 <= low < high <= 1"),
    ],
)
def test_recipes_that_are_refused(recipe: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="export the model again") as raised:
        read(tmp_path, small(recipe=recipe))
    assert words in str(raised.value)


def test_centres(tmp_path: Path) -> None:
    sections = unpack(small())
    values = np.array([1, 2.5], "<f4").tobytes()

    def centres(data: bytes) -> _core.ModelFile:
        return read(tmp_path, pack({**sections, "centres": Section(data, required=False)}))

    model = centres(struct.pack("<II", 1, 1) + values)
    assert (model.centres.tolist(), model.keeps_mattes) == ([1, 2.5], True)
    assert not centres(struct.pack("<II", 1, 0) + values).keeps_mattes
    later = centres(struct.pack("<II", 2, 1) + values)  # in another order
    assert (later.centres.size, later.keeps_mattes) == (0, False)
    for damaged in (b"\1\0\0\0", struct.pack("<II", 1, 1) + b"\0", struct.pack("<IIf", 1, 1, np.nan)):
        with pytest.raises(ModelError, match="centres"):
            centres(damaged)
