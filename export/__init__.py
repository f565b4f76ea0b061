# SPDX-License-Identifier: Apache-2.0
"""Export of models to ONNX and TensorRT plans, verified on real photographs. Installed as ``rmbg_trt.export``.

``export("u2net", Path("u2net.plan"))`` does what ``rmbg-trt export u2net`` does. Running it needs the
extra ``[export]`` and, for plans, ``[tensorrt]`` or ``[rtx]``; importing it needs neither.
"""

from .job import Report, export
from .options import Options

__all__ = ["Options", "Report", "export"]
