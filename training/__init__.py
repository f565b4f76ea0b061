# SPDX-License-Identifier: Apache-2.0
"""Datasets and training: from published images with masks to a checkpoint.

``data.prepare`` makes a prepared set, ``train`` trains on it; ``models`` holds U²-Net, U-Net and their checkpoints,
``metrics`` what ``rmbg_trt.evaluation`` measures. Installed as ``rmbg_trt.training``; needs the extra ``[train]``.
"""
