"""Which files make one slide: several only where their format needs it (MRXS, VMS and VMU, DICOM, OME-TIFF), or
where cells that were found elsewhere came with a slide.

Files are known by names as a form or a folder gives them: relative, with slashes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from morula.common import imported
from morula.common.errors import InvalidArgument
from morula.common.slide_headers import dicom_series, is_dicom, ome_names, vms_names

INDEXES = (".vms", ".vmu")
TIFFS = (".tif", ".tiff", ".btf")
OTHERS = (".svs", ".ndpi", ".scn", ".mrxs", ".bif", ".svslide", ".czi", ".dcm", ".png", ".jpg", ".jpeg")
ENTRIES = frozenset((*INDEXES, *TIFFS, *OTHERS))
"""Extensions that a slide's file, or the file that stands for a set, has."""
NAMED_AT_MOST = 5


def entry_of(names: Iterable[str]) -> str:
    """The file of one slide that a reader opens: the only one, the MRXS or VMS index, else the first by name."""
    ordered = sorted(names)
    ordered = [name for name in ordered if not name.endswith(imported.ENDING)] or ordered
    indexes = [name for name in ordered if _ext(name) in (".mrxs", *INDEXES)]
    return indexes[0] if indexes else min(ordered, key=lambda name: (name.count("/"), name))


class SlideFiles:
    """Files among which there are slides; what headers say is read once and only where it is asked for."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self._series: dict[str, str | None] = {}

    def set_of(self, name: str) -> list[str]:
        """The files that make one slide with this one, itself among them."""
        names, waiting = {name}, [name]
        while waiting:
            new = self._mates(waiting.pop()) - names
            names |= new
            waiting += new
        return sorted(names)

    def sets(self) -> tuple[list[list[str]], list[str]]:
        """All slides among the files, and the files that belong to none."""
        group_of = {name: {name} for name in self._files}
        for name in self._files:
            for mate in self._mates(name):
                if group_of[mate] is not group_of[name]:
                    group_of[name] |= group_of[mate]
                    group_of.update(dict.fromkeys(group_of[name], group_of[name]))
        groups = {id(group): sorted(group) for group in group_of.values()}
        slides = sorted(group for group in groups.values() if any(self._stands_for_a_slide(name) for name in group))
        claimed = {name for group in slides for name in group}
        return slides, sorted(set(self._files) - claimed)

    def _mates(self, name: str) -> set[str]:
        """What a file's format, or its header, says belongs to it."""
        ext = _ext(name)
        if ext == ".mrxs":
            below = f"{name[: -len(ext)]}/"
            return {other for other in self._files if other.startswith(below)}
        if ext in INDEXES:
            return self._beside(name, vms_names(self._files[name]))
        if ext in TIFFS:
            cells = f"{PurePosixPath(name).stem}{imported.ENDING}"
            return self._beside(name, [*ome_names(self._files[name]), cells])
        series = self._series_of(name)
        if series is None:
            return set()
        return {other for other in self._files if _folder(other) == _folder(name) and self._series_of(other) == series}

    def _beside(self, name: str, mates: Sequence[str]) -> set[str]:
        folder = _folder(name)
        plain = {str(folder / mate) for mate in mates if mate and "/" not in mate}
        return plain & self._files.keys()

    def _series_of(self, name: str) -> str | None:
        if name not in self._series:
            self._series[name] = dicom_series(self._files[name]) if self._may_be_dicom(name) else None
        return self._series[name]

    def _may_be_dicom(self, name: str) -> bool:
        return _ext(name) == ".dcm" or _ext(name) not in ENTRIES

    def _stands_for_a_slide(self, name: str) -> bool:
        return _ext(name) in ENTRIES or is_dicom(self._files[name])


def files_below(folder: Path) -> dict[str, Path]:
    """All files of a folder by their names in it; hidden ones are the system's, links to folders are not followed."""
    files: dict[str, Path] = {}
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(parent) / name for name in names if not name.startswith("."))
        files |= {path.relative_to(folder).as_posix(): path for path in paths if path.is_file()}
    return dict(sorted(files.items()))


def files_around(entry: Path) -> dict[str, Path]:
    """The files that may make a slide with this one: those beside it, of an MRXS those in its folder too."""
    with os.scandir(entry.parent) as entries:
        names = [file.name for file in entries if file.is_file() and not file.name.startswith(".")]
    beside = {name: entry.parent / name for name in names}
    companions = entry.with_suffix("")
    if entry.suffix.lower() == ".mrxs" and companions.is_dir():
        beside |= {f"{companions.name}/{name}": path for name, path in files_below(companions).items()}
    return beside | {entry.name: entry}


def _raise(error: OSError) -> None:
    raise error


def check_one_slide(files: Mapping[str, Path]) -> None:
    """Raises where several files are not one slide: none of them may get lost behind another."""
    if len(files) < 2:
        return
    slides, rest = SlideFiles(files).sets()
    if len(slides) > 1:
        entries = [entry_of(slide) for slide in slides]
        raise InvalidArgument(f"These files are {len(slides)} slides ({_some(entries)}): send one request for each.")
    if rest:
        raise InvalidArgument(f"No slide here needs {_some(rest)}: send only the files of one slide.")


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(name[:80] for name in names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _ext(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _folder(name: str) -> PurePosixPath:
    return PurePosixPath(name).parent
