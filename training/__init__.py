# SPDX-License-Identifier: Apache-2.0
"""U²-Net in PyTorch: the models, their checkpoints and the import of published weights (``models``).

Installed as ``rmbg_trt.training``.
"""
