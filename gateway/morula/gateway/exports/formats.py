"""What a format of files is, whether a job leaves them or a labelling is taken away in them.

`JOB_FILES` in job_files.py and `LABEL_FILES` in label_files.py are the formats that there are: a row there is a file of
every job, an address of every labelling.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

Material = TypeVar("Material")
"""What a file is made of."""

MEDIA_TYPES = {"parquet": "application/vnd.apache.parquet", "json": "application/json", "gz": "application/gzip"}


def media_type_of(name: str) -> str:
    """What a file is, by the end of its name."""
    return MEDIA_TYPES[name.rpartition(".")[2]]


def always(_material: object) -> bool:
    """Of a format that needs nothing that is not always there."""
    return True


@dataclass(frozen=True)
class Format(Generic[Material]):
    """A file: its name, what is in it, how it is written, and what it needs."""

    name: str
    about: str
    write: Callable[[Material, Path], object]
    is_for: Callable[[Material], bool] = always
    """Whether there is such a file of this material."""
    chunks: Callable[[Material], Iterator[bytes]] | None = None
    """The same piece by piece, where it can be sent while it is made."""

    @property
    def media_type(self) -> str:
        return media_type_of(self.name)


def streamed(
    name: str, about: str, chunks: Callable[[Material], Iterator[bytes]], is_for: Callable[[Material], bool] = always
) -> Format[Material]:
    """A format that is made piece by piece."""

    def write(material: Material, path: Path) -> None:
        with path.open("wb") as sink:
            sink.writelines(chunks(material))

    return Format(name, about, write, is_for, chunks)
