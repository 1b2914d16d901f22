"""Takes truths in: the file goes to the store, the evaluator reads it once, and only then it has a row.

If it cannot be taken, neither row nor object stays."""

import asyncio
from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import IntegrityError

from morula.common.errors import ArtifactChanged, ArtifactMissing, MorulaError
from morula.common.keys import artifact_key
from morula.common.store import Store, put_exactly
from morula.common.telemetry import log
from morula.gateway.burial import Burial
from morula.gateway.ledger import objects, truths
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.ids import new_id
from morula.gateway.ledger.records import Record
from morula.gateway.refs import row_ref
from morula.gateway.uploads import IncomingFile
from morula.gateway.workers import Workers, once_it_is_free
from morula.v1.evaluator_pb2 import InspectTruthRequest, InspectTruthResponse, TruthKind

PREFIX = "TRUTH_KIND_"


class Truths:
    """Takes truths in."""

    def __init__(self, ledger: Ledger, workers: Workers, store: Store, project: str) -> None:
        self._ledger = ledger
        self._workers = workers
        self._store = store
        self._project = project
        self._burial = Burial(ledger, store)

    async def take(self, file: IncomingFile, name: str, origin: Mapping[str, Any] | None = None) -> tuple[Record, bool]:
        """The truth of this file, which is copied to the store; True if it is new. `origin` is what it was made of."""
        key = artifact_key(self._project, file.sha256, "truth", "bin", inputs=[], params={})
        known = await self._ledger.read(truths.find_truth, self._project, file.sha256)
        if known is not None:
            await self._mend(known, file)
            return known, False
        upload_id = new_id()
        await self._ledger.write(objects.claim, objects.UPLOAD, upload_id, [key])
        written = []
        # If this is cancelled, a thread may still be writing; the caretaker forgets the upload later.
        try:
            stored = await asyncio.to_thread(put_exactly, self._store, key, file.path, file.sha256)
            written = [key] if stored.created else []
            row = {"key": key, "sha256": file.sha256, "size_bytes": file.size_bytes}
            request = InspectTruthRequest(truth=row_ref(row))
            inspected = await once_it_is_free(lambda: self._workers.inspect_truth(request))
            values = {"project_id": self._project, "name": name, **(origin or {}), **row, **_told(inspected)}
            return await self._ledger.write(truths.create_truth, values, upload_id), True
        except IntegrityError:
            # Somebody brought the same bytes meanwhile.
            await self._forget(upload_id, [])
            known = await self._ledger.read(truths.find_truth, self._project, file.sha256)
            if known is None:
                raise
            return known, False
        except Exception:
            await self._forget(upload_id, written)
            raise

    async def _mend(self, known: Record, file: IncomingFile) -> None:
        """Replace a truth's object that is missing or damaged by the one that came now."""
        try:
            await asyncio.to_thread(self._store.verify, known["key"], known["sha256"])
        except (ArtifactMissing, ArtifactChanged) as error:
            log.warning("a truth is brought again", truth_id=known["id"], detail=str(error))
            await self._ledger.write(objects.claim, "truth", known["id"], [known["key"]])
            if isinstance(error, ArtifactChanged):
                await self._burial.drop_damaged(known["key"], known["sha256"])
            await asyncio.to_thread(put_exactly, self._store, known["key"], file.path, file.sha256)

    async def _forget(self, upload_id: str, written: list[str]) -> None:
        """Release the object of an upload, and delete it where it wrote it and nobody else uses it."""
        await self._ledger.write(objects.forget, upload_id, written)
        for key in written:
            try:
                await self._burial.bury(key)
            except MorulaError as error:
                log.warning("object left to the caretaker", key=key, reason=error.reason, detail=str(error))


def _told(inspected: InspectTruthResponse) -> dict[str, Any]:
    return {
        "kind": TruthKind.Name(inspected.kind).removeprefix(PREFIX).lower(),
        "row_count": inspected.row_count,
        "classes": [{"name": one.name, "row_count": one.row_count} for one in inspected.classes],
    }
