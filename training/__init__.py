# SPDX-License-Identifier: Apache-2.0
"""Training of U²-Net in PyTorch. Installed as ``rmbg_trt.training``; nothing here yet."""
