# SPDX-License-Identifier: Apache-2.0
"""All facts about this machine, together."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from .advice import advise
from .cache import Cache, examine_cache
from .core import Core, examine_core
from .nvidia import Nvidia, examine_nvidia
from .packages import Package, examine_packages
from .processor import Processor, examine_processor


@dataclass(frozen=True)
class Report:
    """All facts, and what follows from them."""

    system: str
    python: str
    processor: Processor
    nvidia: Nvidia
    core: Core
    packages: tuple[Package, ...]
    cache: Cache
    advice: tuple[str, ...]


def examine() -> Report:
    """Collect all facts about this machine. Never raises for what is missing."""
    processor, nvidia, core = examine_processor(), examine_nvidia(), examine_core()
    packages, cache = examine_packages(), examine_cache()
    return Report(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        processor=processor,
        nvidia=nvidia,
        core=core,
        packages=packages,
        cache=cache,
        advice=advise(nvidia, core, packages, cache),
    )
