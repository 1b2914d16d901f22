"""Slides and truths by reference: files in a folder that the operator named, which are copied to the store."""

import os
from collections.abc import Sequence
from pathlib import Path

from morula.common.errors import Conflict, InvalidArgument, TooLarge
from morula.common.hashing import sha256_of
from morula.common.slide_sets import SlideFiles, files_around
from morula.gateway.uploads import FILE_COUNT_LIMIT, IncomingFile, safe_name


def refer(folders: dict[str, Path], reference: str) -> list[IncomingFile]:
    """The files of the slide that a reference names."""
    root, path = _find(folders, reference)
    try:
        return _parts(root, path)
    except OSError as error:
        raise _unreadable(path, error) from error


def read(folders: dict[str, Path], reference: str, limit_bytes: int) -> bytes:
    """The bytes of the one file that a reference names."""
    _, path = _find(folders, reference)
    try:
        with path.open("rb") as stream:
            content = stream.read(limit_bytes + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(content) > limit_bytes:
        raise TooLarge(f"{path.name[:80]!r} has more than {limit_bytes:,} bytes.")
    return content


def _find(folders: dict[str, Path], reference: str) -> tuple[Path, Path]:
    """The folder and the file in it. Nothing outside the folder can be reached, not even by a link."""
    folder_name, _, relative = reference.partition("/")
    if folder_name not in folders:
        named = ", ".join(sorted(folders)) or "none"
        raise InvalidArgument(f"There is no folder {folder_name[:80]!r} to read from; there are: {named}.")
    root = folders[folder_name].resolve()
    path = _inside(root, root / safe_name(relative))
    if path is None or not path.is_file():
        raise InvalidArgument(f"There is no file {relative[:200]!r} in the folder {folder_name!r}.")
    return root, path


def _unreadable(path: Path, error: OSError) -> InvalidArgument:
    return InvalidArgument(f"{path.name[:200]!r} cannot be read: {error.strerror}.")


def _parts(root: Path, path: Path) -> list[IncomingFile]:
    around = files_around(path)
    names = SlideFiles(around).set_of(path.name)
    if len(names) > FILE_COUNT_LIMIT:
        raise InvalidArgument(f"The slide has {len(names)} files, more than {FILE_COUNT_LIMIT}.")
    if any(_inside(root, around[name]) is None for name in names):
        raise InvalidArgument("A file of the slide lies outside the folder: links out of it are not followed.")
    return [_hashed(safe_name(name), around[name]) for name in names]


def check_unchanged(parts: Sequence[IncomingFile]) -> None:
    """Raise Conflict if a file has changed since it was hashed: the copies may then be of different states."""
    for part in parts:
        if part.state and not (part.path.is_file() and _state(part.path.stat()) == part.state):
            raise _changed(part.name)


def _inside(root: Path, path: Path) -> Path | None:
    """The path with all links resolved, if it is below the root."""
    try:
        real = path.resolve()
    except (OSError, RuntimeError):  # Links that lead to themselves.
        return None
    return real if real.is_relative_to(root) else None


def _hashed(name: str, path: Path) -> IncomingFile:
    with path.open("rb") as stream:
        state = _state(os.fstat(stream.fileno()))
        sha256 = sha256_of(stream)
        if _state(os.fstat(stream.fileno())) != state:
            raise _changed(name)
    return IncomingFile(name, path, sha256, state[1], state)


def _state(stat: os.stat_result) -> tuple[int, ...]:
    """Numbers of which one changes when a file is written to or replaced."""
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _changed(name: str) -> Conflict:
    return Conflict(f"{name[:80]} changed while it was read: try again once it is complete.")
