# SPDX-License-Identifier: Apache-2.0
"""Thin wrappers of what can run a network: devices, the vendors' packages, and our own CPU network's ONNX reader.

`export` builds and verifies models with them, and `networks` puts them behind the core's network interface.
"""
