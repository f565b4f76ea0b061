# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests of evaluation."""

from __future__ import annotations

from tests.evaluation.fixtures import blurred, folder, sharp  # noqa: F401 - fixtures
