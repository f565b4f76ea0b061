# SPDX-License-Identifier: Apache-2.0
"""Builds allocation_test.cpp with the objects of the package, and runs it."""

from __future__ import annotations

from tests.stand_in_build import Build, call, needs_a_build

pytestmark = needs_a_build


def test_a_frame_allocates_nothing(built: Build) -> None:
    printed = call(str(built("allocation_test") / "allocation_test"))
    assert printed.count("ok  ") == 4, printed
