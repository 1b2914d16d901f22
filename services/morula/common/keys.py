"""Addresses: a key is the digest of everything that determines the artifact, so all keys are known before a run."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence

from morula.common.errors import InvalidArgument, KeyInvalid

MAX_KEY_BYTES = 512

# Raised by one when the code of a stage behaves otherwise than before: old artifacts are then made anew. A test pins
# the outputs of all stages but pictures, with the segmenter that needs no weights, and fails where they change and no
# revision does; `python -m tests.golden` pins new ones. What networks make is held to oracles in tests/networks.
STAGE_REVISIONS: dict[str, int] = {
    "slide": 1,
    "plan": 6,
    "tiles": 5,
    "pixels": 5,
    "cells": 3,
    "vectors": 1,
    "morphology": 2,
    "shards": 1,
    "index": 2,
    "outlines": 3,
    "leaf": 1,
    "tree": 3,
    "features": 1,
    "confidence": 1,
    "layout": 1,
    "class": 3,
    "label_confidence": 3,
    "model": 3,
    "sheet": 1,
    "table": 2,
    "truth": 1,
    "effective": 1,
    "evaluation": 4,
    "report": 3,
}

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://morula.dev/cell")
_EXTENSION = re.compile(r"[a-z0-9]+(\.[a-z0-9]+)*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def canonical_json(value: object) -> str:
    """One text for one value: sorted keys, no spaces, and 1.0 is the same number as 1."""
    plain = _canonical(value)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def _canonical(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _canonical(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def digest(value: object) -> str:
    """sha256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def artifact_key(
    project: str,
    scope: str,
    stage: str,
    ext: str,
    *,
    inputs: Sequence[str],
    params: Mapping[str, object],
    model: tuple[str, str] | None = None,
) -> str:
    """`project/scope/stage/digest.ext`; `scope` is a slide's digest or a cohort's id, `inputs` are keys."""
    if stage not in STAGE_REVISIONS:
        raise InvalidArgument(f"there is no stage {stage!r}")
    if not _EXTENSION.fullmatch(ext):
        raise InvalidArgument(f"{ext!r} is no file extension")
    name = digest(
        {
            "stage": stage,
            "revision": STAGE_REVISIONS[stage],
            "inputs": list(inputs),
            "params": params,
            "model": model and list(model),
        }
    )
    return validate_key(f"{project}/{scope}/{stage}/{name}.{ext}")


def validate_key(key: str) -> str:
    """The key itself, if it is a plain relative path that no store can misunderstand."""
    problem = key_problem(key)
    if problem:
        raise KeyInvalid(f"key {key[:80]!r} {problem}")
    return key


def key_problem(key: str) -> str | None:
    """Why this is no key, in words that follow "the key"; None where it is one."""
    if not key:
        return "is empty"
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        return "is not valid text"
    if len(encoded) > MAX_KEY_BYTES:
        return f"is longer than {MAX_KEY_BYTES} bytes"
    if _CONTROL.search(key) or "\\" in key:
        return "holds a control character or a backslash"
    if _SCHEME.match(key):
        return "looks like a URL or a drive"
    return _segment_problem(key.split("/"))


def _segment_problem(segments: list[str]) -> str | None:
    if not all(segments):
        return "has an empty segment"
    # Names with a leading dot belong to the store: its temporary files and digests lie there.
    if any(segment.startswith(".") for segment in segments):
        return "has a segment that begins with a dot"
    if any(len(segment.encode()) > 255 for segment in segments):
        return "has a segment that is longer than 255 bytes"
    return None


def slide_digest(files: Iterable[tuple[str, str, int]], entry: str) -> str:
    """sha256 of the canonical manifest: names, digests and sizes of all files in name order, and the entry."""
    listed = [{"name": name, "sha256": sha256, "size_bytes": size} for name, sha256, size in sorted(files)]
    names = [file["name"] for file in listed]
    if len(set(names)) != len(names):
        raise InvalidArgument("two files of the slide have the same name")
    if entry not in names:
        raise InvalidArgument(f"the entry {entry!r} is not among the slide's files")
    return digest({"entry": entry, "files": listed})


def cell_namespace(slide_digest: str, object_kind: str, model: tuple[str, str], mpp: float) -> uuid.UUID:
    """What all cells of one segmentation share; see `cell_id`."""
    shared = {"slide": slide_digest, "kind": object_kind, "model": list(model), "mpp": mpp}
    return uuid.uuid5(_NAMESPACE, canonical_json(shared))


def cell_id(namespace: uuid.UUID, x_px: int, y_px: int, number: int = 0) -> uuid.UUID:
    """UUIDv5 of a cell: centroid in whole level-0 px; `number` counts cells that share the rest, by area."""
    return uuid.uuid5(namespace, f"{x_px},{y_px},{number}")
