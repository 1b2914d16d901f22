"""Samples as a transaction sees them. What was folded once is kept: a word costs no reading of all before it."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from sqlalchemy import Connection

from morula.gateway.ledger import samples
from morula.gateway.ledger.records import Record
from morula.gateway.samples.fold import Folded, fold_on
from morula.gateway.samples.state import Words

KEPT_COUNT = 32


@dataclass(frozen=True)
class Snapshot:
    """A sample at one moment: what is said later is not in it."""

    row: Record
    words: Words


class Snapshots:
    """Reads samples. Only for transactions that read: what one writes may never come to be."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Folded] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, tx: Connection, sample_id: str) -> Snapshot:
        """The sample as this transaction sees it; NotFound even if it was read before and has been deleted."""
        row = samples.get_sample(tx, sample_id)
        with self._lock:
            before = self._kept.get(sample_id, Folded())
        # A transaction may see less than another one did before it: then it reads for itself.
        if before.words.seq > row["seq"]:
            return Snapshot(row, fold_on(Folded(), samples.WORDS.after(tx, sample_id)).words)
        folded = fold_on(before, samples.WORDS.after(tx, sample_id, before.words.seq))
        with self._lock:
            self._kept[sample_id] = folded
            self._kept.move_to_end(sample_id)
            while len(self._kept) > KEPT_COUNT:
                self._kept.popitem(last=False)
        return Snapshot({**row, "seq": folded.words.seq}, folded.words)
