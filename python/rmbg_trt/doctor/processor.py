# SPDX-License-Identifier: Apache-2.0
"""The CPU: its name, the instructions that matter, and how much of it this process may use."""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .outside import read_text, run_tool

_X86_FEATURES = {  # ours -> any of these in /proc/cpuinfo
    "avx2": ("avx2",),
    "avx512": ("avx512f",),
    "vnni": ("avx512_vnni", "avx_vnni"),
    "bf16": ("avx512_bf16",),
    "amx": ("amx_tile",),
}
_ARM_FEATURES = {"neon": ("asimd", "neon"), "bf16": ("bf16",), "i8mm": ("i8mm",), "sve": ("sve",)}
_MAC_FEATURES = {
    "avx2": ("hw.optional.avx2_0",),
    "avx512": ("hw.optional.avx512f",),
    "neon": ("hw.optional.neon", "hw.optional.arm64", "hw.optional.AdvSIMD"),
    "bf16": ("hw.optional.arm.FEAT_BF16",),
    "i8mm": ("hw.optional.arm.FEAT_I8MM",),
}


@dataclass(frozen=True)
class Processor:
    """The CPU, as far as this process may use it."""

    model: str
    cores: int  # usable: after affinity and the container's quota
    features: tuple[str, ...]
    memory_bytes: int | None


def examine_processor() -> Processor:
    """Ask the operating system about the CPU."""
    model = ""
    features: tuple[str, ...] = ()
    memory: int | None = None
    if platform.system() == "Darwin":
        _, text = run_tool(["sysctl", "hw.optional", "hw.memsize", "machdep.cpu.brand_string"])
        model, features, memory = parse_sysctl(text)
    else:
        model, features = parse_cpuinfo(read_text("/proc/cpuinfo"))
        found = re.search(r"^MemTotal:\s+(\d+) kB", read_text("/proc/meminfo"), re.MULTILINE)
        memory = int(found[1]) * 1024 if found else None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = parse_cpu_quota(read_text("/sys/fs/cgroup/cpu.max"))
    return Processor(
        model=model or platform.processor() or platform.machine(),
        cores=min(cores, quota or cores),
        features=features,
        memory_bytes=memory,
    )


def parse_cpuinfo(text: str) -> tuple[str, tuple[str, ...]]:
    """Take (model, features) out of the text of ``/proc/cpuinfo``, of an x86 or an Arm machine."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    flags = set(fields.get("flags", "").split())
    arm_flags = set(fields.get("Features", "").split())
    return fields.get("model name", ""), _among(_X86_FEATURES, flags) or _among(_ARM_FEATURES, arm_flags)


def parse_sysctl(text: str) -> tuple[str, tuple[str, ...], int | None]:
    """Take (model, features, memory in bytes) out of what macOS's ``sysctl`` prints."""
    pairs = (line.partition(":") for line in text.splitlines())
    fields = {key.strip(): value.strip() for key, _, value in pairs}
    features = _among(_MAC_FEATURES, {key for key, value in fields.items() if value == "1"})
    memory = fields.get("hw.memsize", "")
    return fields.get("machdep.cpu.brand_string", ""), features, int(memory) if memory.isdigit() else None


def parse_cpu_quota(text: str) -> int | None:
    """Read a cgroup's ``cpu.max`` ("200000 100000": two cores) as whole cores, or None for no limit."""
    quota, _, period = text.strip().partition(" ")
    if not quota.isdigit() or not period.isdigit() or int(period) == 0:
        return None
    return max(1, math.ceil(int(quota) / int(period)))


def _among(features: Mapping[str, tuple[str, ...]], flags: set[str]) -> tuple[str, ...]:
    return tuple(name for name, spellings in features.items() if flags.intersection(spellings))
