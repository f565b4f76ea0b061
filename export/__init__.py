# SPDX-License-Identifier: Apache-2.0
"""Export to ONNX and TensorRT. Installed as ``rmbg_trt.export``; nothing here yet."""
