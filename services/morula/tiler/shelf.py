"""Slides by reference: their files laid out under the scanner's names, vetted once, kept open while they are used."""

import contextlib
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from morula.common.compute import Checkpoint, go_on
from morula.common.errors import InvalidArgument, SlideScaleUnknown
from morula.common.geometry import SCALE_RANGE_UM
from morula.common.keys import slide_digest
from morula.common.refs import key_of
from morula.common.store import Store
from morula.tiler.probe import Description, probe
from morula.tiler.readers import open_slide
from morula.tiler.slide import Slide, plausible_mpp
from morula.v1.artifact_pb2 import SlideRef

MAX_OPEN = 4
MAX_VETTED = 1000
MAX_FILES = 20_000
NAME_BYTES, PART_BYTES = 512, 255  # The second is what a file system takes.


@dataclass
class _Place:
    """One slide on the shelf. `lock` is held while it is fetched and vetted."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    opened: "OpenSlide | None" = None
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)


@dataclass(frozen=True)
class OpenSlide:
    """An open slide, and what its vetting found."""

    slide: Slide
    description: Description


class Shelf:
    """Keeps the slides used last open, so that a second look at one costs nothing."""

    def __init__(self, store: Store, *, max_open: int = MAX_OPEN) -> None:
        self._store = store
        self._max_open = max_open
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._vetted: OrderedDict[str, Description] = OrderedDict()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def open(self, manifest: SlideRef, checkpoint: Checkpoint = go_on) -> Iterator[OpenSlide]:
        """The slide, open. A slide that this process has not seen is first opened in a child."""
        _check(manifest)
        place = self._take(manifest.digest)
        try:
            with place.lock:
                if place.opened is None:
                    place.opened = self._fetch(manifest, place.closing, checkpoint)
            yield place.opened
        finally:
            self._give_back(place)

    def close(self) -> None:
        """Closes what is open; call it when nothing is in use any more."""
        with self._lock:
            places = list(self._places.values())
            self._places.clear()
        for place in places:
            place.closing.close()

    def _take(self, digest: str) -> _Place:
        with self._lock:
            place = self._places.setdefault(digest, _Place())
            self._places.move_to_end(digest)
            place.users += 1
            return place

    def _give_back(self, place: _Place) -> None:
        with self._lock:
            place.users -= 1
            idle = [digest for digest, other in self._places.items() if other.users == 0]
            failed = [digest for digest in idle if self._places[digest].opened is None]
            surplus = [digest for digest in idle if digest not in failed][: max(0, len(self._places) - self._max_open)]
            dropped = [self._places.pop(digest) for digest in (*failed, *surplus)]
        for old in dropped:
            old.closing.close()

    def _fetch(self, manifest: SlideRef, closing: contextlib.ExitStack, checkpoint: Checkpoint) -> OpenSlide:
        with contextlib.ExitStack() as fetched:
            folder = Path(fetched.enter_context(tempfile.TemporaryDirectory(prefix="morula-slide-")))
            for file in manifest.files:
                held = fetched.enter_context(self._store.local_path(*key_of(file.object)))
                link = folder / file.name
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(held)
            entry = folder / manifest.entry
            mates = _mates(manifest)
            description = self._vet(manifest.digest, entry, mates, checkpoint)
            slide = fetched.enter_context(open_slide(entry, mates))
            closing.enter_context(fetched.pop_all())
        return OpenSlide(slide, description)

    def _vet(self, digest: str, entry: Path, mates: Collection[str], checkpoint: Checkpoint) -> Description:
        """What a slide is; one that was vetted before has the same bytes still, and needs no child again."""
        with self._lock:
            known = self._vetted.get(digest)
        description = known or probe(entry, mates, checkpoint)
        with self._lock:
            self._vetted[digest] = description
            self._vetted.move_to_end(digest)
            if len(self._vetted) > MAX_VETTED:
                self._vetted.popitem(last=False)
        return description


def slide_mpp(manifest: SlideRef, description: Description) -> float:
    """Microns per level-0 pixel as the user states it, else as the file does; raises where neither says."""
    mpp = manifest.mpp or description.scale.mpp
    if not mpp:
        raise SlideScaleUnknown(
            f"{manifest.entry} does not say how large its pixels are; pass microns per pixel with the slide",
            digest=manifest.digest,
        )
    return mpp


def _mates(manifest: SlideRef) -> frozenset[str]:
    """The slide's other files, by their names as seen from its entry."""
    folder, names = PurePosixPath(manifest.entry).parent, (PurePosixPath(file.name) for file in manifest.files)
    below = {name.relative_to(folder).as_posix() for name in names if name.is_relative_to(folder)}
    return frozenset(below - {PurePosixPath(manifest.entry).name})


def _check(manifest: SlideRef) -> None:
    if not 1 <= len(manifest.files) <= MAX_FILES:
        raise InvalidArgument(f"a slide has 1 to {MAX_FILES} files, not {len(manifest.files)}")
    for file in manifest.files:
        _check_name(file.name)
    _check_places([PurePosixPath(file.name) for file in manifest.files])
    if manifest.mpp and not plausible_mpp(manifest.mpp):
        raise InvalidArgument(f"{manifest.mpp} is no scale: microns per pixel lie in {SCALE_RANGE_UM}")
    expected = slide_digest(
        [(file.name, file.object.sha256, file.object.size_bytes) for file in manifest.files], manifest.entry
    )
    if expected != manifest.digest:
        raise InvalidArgument(f"the slide's digest is {expected[:12]}, not {manifest.digest[:12]}")


def _check_name(name: str) -> None:
    """A name stays below the folder that it is laid in."""
    parts = PurePosixPath(name).parts
    is_short = len(name.encode()) <= NAME_BYTES and all(len(part.encode()) <= PART_BYTES for part in parts)
    if not parts or not is_short or "\0" in name or "\\" in name or name.startswith("/") or ".." in parts:
        raise InvalidArgument(f"{name[:80]!r} is no name of a slide's file")


def _check_places(names: Sequence[PurePosixPath]) -> None:
    """Each file has a place of its own."""
    places = set(names)
    if len(places) < len(names):
        raise InvalidArgument("two of the slide's files have one name")
    if below := next((name for name in names if not places.isdisjoint(name.parents)), None):
        raise InvalidArgument(f"{str(below)[:80]!r} lies below another of the slide's files, which is no folder")
