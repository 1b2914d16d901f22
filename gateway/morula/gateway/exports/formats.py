"""The formats of files that a job leaves and of files with labels.

`JOB_FILES` in job_files.py and `LABEL_FILES` in label_files.py list them: a row there is a file of every job, or an
address of every labelling.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

Material = TypeVar("Material")
"""The data that a file is written from."""

MEDIA_TYPES = {
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
    "gz": "application/gzip",
    "html": "text/html",
    "zip": "application/zip",
}


def media_type_of(name: str) -> str:
    """The media type of a file, by the end of its name."""
    return MEDIA_TYPES[name.rpartition(".")[2]]


def always(_material: object) -> bool:
    """For formats that can always be written."""
    return True


@dataclass(frozen=True)
class Format(Generic[Material]):
    """A file: its name, what it contains, how it is written, and when there is one."""

    name: str
    about: str
    write: Callable[[Material, Path], object]
    is_for: Callable[[Material], bool] = always
    """Whether there is such a file for this material."""
    chunks: Callable[[Material], Iterator[bytes]] | None = None
    """The content in chunks, if it can be sent while it is made."""

    @property
    def media_type(self) -> str:
        return media_type_of(self.name)


def streamed(
    name: str, about: str, chunks: Callable[[Material], Iterator[bytes]], is_for: Callable[[Material], bool] = always
) -> Format[Material]:
    """A format whose content comes in chunks."""

    def write(material: Material, path: Path) -> None:
        with path.open("wb") as sink:
            sink.writelines(chunks(material))

    return Format(name, about, write, is_for, chunks)
