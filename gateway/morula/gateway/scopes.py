"""What a key allows: a closed list, and which of them each operation of the API needs."""

from collections.abc import Sequence
from typing import Literal, get_args

Scope = Literal["read", "label", "run", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
MEANINGS: dict[Scope, str] = {
    "read": "look at everything and download it",
    "label": "label: labellings, suggestions, label sets, samples",
    "run": "bring slides and truths, start and stop jobs, cohorts and evaluations",
    "admin": "delete what nothing brings back, and make and revoke keys of any scope",
}

OPEN = {"health", "session"}
"""Tags of operations that need no key: they tell nothing of any slide, and who has no key yet needs them."""
CHANGES: dict[str, Scope] = {
    "slides": "run",
    "jobs": "run",
    "clusterings": "run",
    "evaluations": "run",
    "label sets": "label",
    "labellings": "label",
    "samples": "label",
}
"""What changes things needs, by tag. A tag that is not here has no operation that changes anything."""


def needed(tags: Sequence[str], method: str) -> Scope | None:
    """The scope that an operation needs; None where it is open to everybody."""
    (tag,) = tags
    if tag in OPEN:
        return None
    if tag == "keys" or method == "DELETE":
        return "admin"
    return "read" if method == "GET" else CHANGES[tag]
