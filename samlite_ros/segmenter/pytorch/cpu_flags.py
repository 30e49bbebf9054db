"""What Linux says that this CPU can compute; free of torch."""

from __future__ import annotations

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "avx10_2", "bf16", "svebf16"})
"""Products in bfloat16: x86's names, then ARM's."""


def cpu_flags() -> frozenset[str]:
    """Instruction sets that the kernel names; empty where it does not."""
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return frozenset()
    named = (line.split(":", 1)[1].split() for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(named, ()))


def has_bfloat16() -> bool:
    """The CPU computes in bfloat16; elsewhere it is emulated, and slower than float32."""
    return bool(cpu_flags() & BFLOAT16)
