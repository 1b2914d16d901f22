"""What this machine's processor can."""

from __future__ import annotations

from pathlib import Path

_FLAGS = {"avx512_bf16", "amx_bf16"}


def computes_in_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether it multiplies in half precision by itself, in every core; elsewhere that is emulated, and slow."""
    if not cpuinfo.is_file():
        return False
    lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    of_cores = [set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")]
    return bool(of_cores) and all(_FLAGS & flags for flags in of_cores)
