# SPDX-License-Identifier: Apache-2.0
"""Atomic writing: a file is complete or absent, whatever goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from rmbg_trt.errors import Error
from rmbg_trt.files import atomic_path


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "sub" / "a.mp4"
    with pytest.raises(ZeroDivisionError), atomic_path(target) as part:
        part.write_bytes(b"%d" % (1 // 0 if part.write_bytes(b"half") else 0))
    assert list(target.parent.iterdir()) == []
    with atomic_path(target) as part:
        part.write_bytes(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    with pytest.raises(Error, match="could not be written"), atomic_path(target / "b.mp4"):
        pass
