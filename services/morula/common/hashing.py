"""Digests of bytes that lie in files."""

from __future__ import annotations

import hashlib
from io import BufferedIOBase
from pathlib import Path


def sha256_of(source: Path | BufferedIOBase) -> str:
    """sha256 of a file, or of what a stream has left."""
    if isinstance(source, Path):
        with source.open("rb") as stream:
            return sha256_of(stream)
    return hashlib.file_digest(source, "sha256").hexdigest()
