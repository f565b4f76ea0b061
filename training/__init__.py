# SPDX-License-Identifier: Apache-2.0
"""Datasets, training and evaluation: from published pictures with masks to a checkpoint, and what it is worth.

``data.prepare`` makes a prepared set, ``train`` trains on it, ``evaluation`` measures through the engine; ``models``
holds U²-Net, U-Net and their checkpoints. Installed as ``rmbg_trt.training``; running it needs the extra ``[train]``.
"""
