# SPDX-License-Identifier: Apache-2.0
"""Devices, thin wrappers of the vendors' packages, and the ONNX reader of our own CPU network.

`export` builds and verifies models with them, and `networks` adapts them to the core's network interface.
"""
