# SPDX-License-Identifier: Apache-2.0
"""Names, links and copies; sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.training.data import made_images as made

from rmbg_trt.errors import Error, InputError
from rmbg_trt.training.data.write_pair import count_names, place, resize_image, smaller_size


def test_names_count_each_category() -> None:
    assert count_names(["p3m", "duts", "p3m"]) == ["p3m_00001", "duts_00001", "p3m_00002"]


@pytest.mark.parametrize("link", [True, False])
def test_place_does_not_change_the_file(link: bool, tmp_path: Path) -> None:
    file, target = made.save(made.photo(1), tmp_path / "x.png"), tmp_path / "a_00001.png"
    before = file.read_bytes()
    assert place(file, target, link=link) == target.is_symlink() == link
    assert target.read_bytes() == file.read_bytes() == before
    with pytest.raises(Error, match="File exists"):
        place(file, target, link=link)
    assert file.read_bytes() == before


def test_a_link_leads_past_links(tmp_path: Path) -> None:
    file = made.save(made.photo(1), tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("a.png")
    assert place(tmp_path / "b.png", tmp_path / "c.png", link=True)
    assert (tmp_path / "c.png").readlink() == file.resolve()


def test_where_links_cannot_be_made_there_are_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(1, "no links here")

    file = made.save(made.photo(1), tmp_path / "a.png")
    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert not place(file, tmp_path / "b.png", link=True)
    assert (tmp_path / "b.png").read_bytes() == file.read_bytes()


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        place(tmp_path / "none.png", tmp_path / "b.png", link=True)
    assert not (tmp_path / "b.png").is_symlink()


@pytest.mark.parametrize(
    ("size", "shorter", "expected"),
    [
        ((100, 200), 50, (50, 100)),
        ((200, 100), 50, (100, 50)),
        ((100, 200), 100, (100, 200)),
        ((100, 200), 500, (100, 200)),
        ((100, 200), None, (100, 200)),
        ((333, 500), 100, (100, 150)),
        ((3, 1000), 1, (1, 333)),
    ],
)
def test_smaller_size(size: tuple[int, int], shorter: int | None, expected: tuple[int, int]) -> None:
    assert smaller_size(size, shorter) == expected


def test_resize_is_lanczos() -> None:
    image = made.photo(1, (60, 90))
    expected = np.asarray(image.resize((45, 30), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(resize_image(np.asarray(image), (30, 45)), expected)
