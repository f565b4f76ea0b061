# SPDX-License-Identifier: Apache-2.0
"""The fixture ``machine`` (GPUs and fake runtimes) for the tests of networks on a GPU."""

from tests.runtimes.conftest import machine  # noqa: F401
