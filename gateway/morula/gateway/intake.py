"""Takes slides in: files go to the store, the tiler reads the slide once, and only then it has a row.

If the files are no slide, neither row nor object stays."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy.exc import IntegrityError

from morula.common.errors import (
    ArtifactChanged,
    ArtifactMissing,
    Code,
    Conflict,
    InvalidArgument,
    MorulaError,
    NotFound,
)
from morula.common.keys import artifact_key, slide_digest
from morula.common.refs import stain_of
from morula.common.slide_sets import check_one_slide, entry_of
from morula.common.stain import Stain
from morula.common.store import Store, Stored, put_exactly
from morula.common.telemetry import log
from morula.gateway.burial import Burial
from morula.gateway.ledger import objects, slides
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.ids import new_id
from morula.gateway.ledger.records import Record
from morula.gateway.references import check_unchanged
from morula.gateway.refs import slide_ref
from morula.gateway.uploads import IncomingFile
from morula.gateway.workers import Workers, once_it_is_free
from morula.v1.tiler_pb2 import InspectSlideRequest, InspectSlideResponse

FileRecord = dict[str, Any]


@dataclass(frozen=True)
class Description:
    """What a person states about a slide."""

    name: str | None = None
    mpp: float | None = None
    stain: Stain | None = None
    tissue: str | None = None


class Intake:
    """Takes slides in, one at a time per digest."""

    def __init__(self, ledger: Ledger, workers: Workers, store: Store, project: str) -> None:
        self._ledger = ledger
        self._workers = workers
        self._store = store
        self._project = project
        self._burial = Burial(ledger, store)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def take_files(self, parts: Sequence[IncomingFile], description: Description) -> tuple[Record, bool]:
        """The slide of these files, which are copied to the store; True if it is new."""
        names = [part.name for part in parts]
        if len(set(names)) != len(names):
            raise InvalidArgument("Two files of the slide have the same name.")
        folders = {str(folder) for name in names for folder in PurePosixPath(name).parents}
        if both := folders.intersection(names):
            raise InvalidArgument(f"{min(both)[:80]!r} is a file of the slide and a folder of another one.")
        await asyncio.to_thread(check_one_slide, {part.name: part.path for part in parts})
        digest = slide_digest([(part.name, part.sha256, part.size_bytes) for part in parts], entry_of(names))
        rows = [self._row(digest, part) for part in parts]
        async with self._lock(digest):
            known = await self._known(digest, description)
            if known is not None:
                await self._mend(known, rows, parts)
                return await self._looked_at(known), False
            upload_id = new_id()
            stored: list[Stored] = []
            await self._ledger.write(objects.claim, objects.UPLOAD, upload_id, [row["key"] for row in rows])
            # If this is cancelled, a thread may still be writing; the caretaker forgets the upload later.
            try:
                for part, row in zip(parts, rows, strict=True):
                    stored.append(await self._put(row, part, parts))
                await asyncio.to_thread(check_unchanged, parts)
                return await self._inspect_and_keep(digest, rows, description, upload_id)
            except Exception as error:
                # If the files are no slide, no other gateway can use them as one. After any other failure they stay,
                # because another gateway may have made a slide of them by now.
                is_no_slide = isinstance(error, MorulaError) and error.code is Code.INVALID_ARGUMENT
                await self._forget(upload_id, [file.key for file in stored if file.created] if is_no_slide else [])
                raise

    async def take_key(self, key: str, description: Description) -> tuple[Record, bool]:
        """The slide of an object of the store, which stays there even if it is no slide; True if it is new."""
        try:
            stored = await asyncio.to_thread(self._store.stat, key)
        except ArtifactChanged as error:
            raise Conflict(
                "The object has changed since it was first read here: store it under a new key.", key=key
            ) from error
        if stored is None:
            raise NotFound("The store has no object with this key.", key=key)
        name = PurePosixPath(key).name
        digest = slide_digest([(name, stored.sha256, stored.size_bytes)], name)
        row = {"name": name, "key": key, "sha256": stored.sha256, "size_bytes": stored.size_bytes}
        async with self._lock(digest):
            known = await self._known(digest, description)
            if known is None:
                return await self._inspect_and_keep(digest, [row], description, None)
            await self._mend(known, [row], None)
            return await self._looked_at(known), False

    async def _put(self, row: FileRecord, part: IncomingFile, parts: Sequence[IncomingFile]) -> Stored:
        try:
            return await asyncio.to_thread(put_exactly, self._store, row["key"], part.path, part.sha256)
        except ArtifactChanged:
            await asyncio.to_thread(check_unchanged, parts)
            raise

    async def _mend(self, known: Record, rows: Sequence[FileRecord], parts: Sequence[IncomingFile] | None) -> None:
        """Replace files of a known slide that are missing or damaged by those that came now."""
        files: Sequence[IncomingFile | None] = parts or [None] * len(rows)
        brought = {row["name"]: (row, part) for row, part in zip(rows, files, strict=True)}
        for file in await self._ledger.read(slides.slide_files, known["id"]):
            try:
                await asyncio.to_thread(self._store.verify, file["key"], file["sha256"])
            except (ArtifactMissing, ArtifactChanged) as error:
                log.warning("a file of a slide is brought again", slide_id=known["id"], detail=str(error))
                row, part = brought[file["name"]]
                if part is not None:
                    await self._ledger.write(objects.claim, "slide", known["id"], [row["key"]])
                    await self._put(row, part, parts or ())
                await self._ledger.write(slides.move_file, known["id"], file["name"], row["key"])

    def _lock(self, digest: str) -> asyncio.Lock:
        return self._locks.setdefault(digest, asyncio.Lock())

    async def _known(self, digest: str, description: Description) -> Record | None:
        """The slide if it is here already, with its description updated; else None."""
        known = await self._ledger.read(slides.find_slide, self._project, digest)
        stated = {name: value for name, value in asdict(description).items() if value is not None}
        if known is not None and known["deleting_since"] is not None:
            raise Conflict("This slide is being deleted; once it is gone it can be taken in again.")
        if known is None or not stated:
            return known
        return await self._ledger.write(slides.describe_slide, known["id"], stated)

    def _row(self, digest: str, part: IncomingFile) -> FileRecord:
        ext = PurePosixPath(part.name).suffix.removeprefix(".").lower()
        ext = ext if ext.isascii() and ext.isalnum() else "bin"
        inputs = {"name": part.name, "sha256": part.sha256}
        key = artifact_key(self._project, digest, "slide", ext, inputs=[], params=inputs)
        return {"name": part.name, "key": key, "sha256": part.sha256, "size_bytes": part.size_bytes}

    async def _inspect_and_keep(
        self, digest: str, rows: Sequence[FileRecord], description: Description, upload_id: str | None
    ) -> tuple[Record, bool]:
        entry = entry_of([row["name"] for row in rows])
        reference = slide_ref({"digest": digest, "entry": entry}, rows, description.mpp)
        inspected = await self._inspect(InspectSlideRequest(slide=reference))
        values = {
            "project_id": self._project,
            "digest": digest,
            "name": description.name or PurePosixPath(entry).name,
            "entry": entry,
            "size_bytes": sum(row["size_bytes"] for row in rows),
            "tissue": description.tissue,
            **_optics(inspected),
            **_stain(description.stain, inspected),
        }
        try:
            return await self._ledger.write(slides.create_slide, values, rows, upload_id), True
        except IntegrityError:
            # Another gateway on this database took the same slide in meanwhile.
            known = await self._known(digest, description)
            if known is None:
                raise
            if upload_id is not None:
                await self._forget(upload_id, [])
            return known, False

    async def _looked_at(self, known: Record) -> Record:
        """The slide with the stain that its colours tell, where none is known: it may have come before any was told."""
        if known["stain"] is not None:
            return known
        files = await self._ledger.read(slides.slide_files, known["id"])
        told = _stain(None, await self._inspect(InspectSlideRequest(slide=slide_ref(known, files, known["mpp"]))))
        return await self._ledger.write(slides.describe_slide, known["id"], told) if told["stain"] else known

    async def _inspect(self, request: InspectSlideRequest) -> InspectSlideResponse:
        return await once_it_is_free(lambda: self._workers.inspect_slide(request))

    async def _forget(self, upload_id: str, written: Sequence[str]) -> None:
        """Release the objects of an upload, and delete those that it wrote and nobody else uses."""
        await self._ledger.write(objects.forget, upload_id, written)
        for key in written:
            try:
                await self._burial.bury(key)
            except MorulaError as error:
                log.warning("object left to the caretaker", key=key, reason=error.reason, detail=str(error))


def _stain(stated: Stain | None, inspected: InspectSlideResponse) -> Mapping[str, Any]:
    """What a person says counts, else what the colours tell."""
    stain = stated or stain_of(inspected.stain)
    return {"stain": stain, "stain_detected": stain is not None and stated is None}


def _optics(inspected: InspectSlideResponse) -> Mapping[str, Any]:
    return {
        "width_px": inspected.width_px,
        "height_px": inspected.height_px,
        "mpp": inspected.mpp or None,
        "mpp_assumed": inspected.mpp_assumed,
        "objective_power": inspected.objective_power or None,
        "vendor": inspected.vendor,
        "levels": [
            {"width_px": level.width_px, "height_px": level.height_px, "downsample": level.downsample}
            for level in inspected.levels
        ],
    }
