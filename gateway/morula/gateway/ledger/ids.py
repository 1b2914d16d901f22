"""Ids that sort by age, and the time."""

import secrets
import time
import uuid


def new_id() -> str:
    """A UUIDv7: 48 bits of milliseconds, then randomness."""
    value = int(time.time() * 1000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    return str(uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62))


def now() -> float:
    """Seconds since 1970."""
    return time.time()
