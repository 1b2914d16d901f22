"""`morula suggest`: what a multimodal model thinks that clusters are. Nothing that it says is a label."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import BaseModel, ValidationError
from rich.console import Console

from morula.onebox.client import Client, Json, id_of
from morula.onebox.failures import WrongUse
from morula.onebox.folder import DataFolder
from morula.onebox.progress import counted
from morula.onebox.run import gateway_of
from morula.onebox.vision_model import WORDS_LETTERS, OutOfBudget, Said, VisionModel, clean

NONE = "none of these"
CONTEXT_UM = 128.0
NOT_A_CELL = "not a cell"
SYSTEM = (
    "You are an experienced histologist. You are shown cells that a program found alike, and say which class of a list "
    "they are. Judge by what you see. Where the pictures do not show it, or the cells differ, answer "
    f"{NONE!r}. Answer as JSON."
)


@dataclass(frozen=True)
class Request:
    """What to ask of whom."""

    labelling_id: str
    tissue: str = ""
    votes: int = 3
    agreement: float = 0.6
    """Share of the votes that a class needs; with less the suggestion is that nobody can say."""


class _Answer(BaseModel):
    cell_class: str
    reason: str = ""


@dataclass(frozen=True)
class _Question:
    """What is asked about clusters of a labelling, the same each time but for the pictures."""

    classes: Mapping[str, int]
    tissue: str

    @property
    def schema(self) -> Json:
        return {
            "type": "object",
            "properties": {
                "reason": {"type": "string", "description": "What in the pictures shows it, in one sentence."},
                "cell_class": {"type": "string", "enum": [*self.classes, NONE]},
            },
            "required": ["reason", "cell_class"],
            "additionalProperties": False,
        }

    @property
    def text(self) -> str:
        tissue = f"The tissue: {self.tissue}. " if self.tissue else ""
        return (
            f"{tissue}The first picture shows cells of one cluster, each in the middle of its square; the last the "
            f"same cells, in the same order, with more around them. Classes: {', '.join(self.classes)}; or {NONE}."
        )

    @property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps([SYSTEM, self.text, self.schema]).encode()).hexdigest()

    def read(self, said: Said) -> Json:
        """A vote; null with the reason where nothing was said that can be used."""
        if said.text is None:
            return {"class_number": None, "reason": said.why_not}
        try:
            answer = _Answer.model_validate_json(said.text)
        except ValidationError:
            return {"class_number": None, "reason": "the answer is no JSON of the schema"}
        reason = clean(answer.reason, WORDS_LETTERS)
        if answer.cell_class not in (*self.classes, NONE):
            return {"class_number": None, "reason": "the answer is none of the classes"}
        return {"class_number": self.classes.get(answer.cell_class), "reason": reason}


def suggest(request: Request, model: VisionModel, folder: DataFolder, console: Console) -> Json:
    """How many clusters have a suggestion now, of how many, and what was spent."""
    labelling_id = id_of(request.labelling_id)
    with gateway_of(folder, lambda line: console.print(line, style="yellow")) as client:
        labelling = client.get(f"/v1/labellings/{labelling_id}")
        classes = {one["name"]: one["number"] for one in labelling["label_set"]["classes"]}
        if not set(classes) - {NOT_A_CELL}:
            raise WrongUse("the labelling's classes have no names yet: add some on the board first")
        question = _Question(classes, request.tissue)
        count = {"count": labelling["cluster_count"]}
        clusters = client.get(f"/v1/clusterings/{labelling['clustering_id']}/clusters", **count)["clusters"]
        made: list[Json] = []
        why_ended = None
        with counted("Asking", console) as tell:
            for number, cluster in enumerate(clusters):
                tell(number, len(clusters))
                try:
                    made.append(_suggestion(client, cluster, question, request, model))
                except OutOfBudget as end:
                    why_ended = str(end)
                    break
                client.put(f"/v1/labellings/{labelling_id}/suggestions/{cluster['node_id']}", made[-1])
    return {
        "labelling_id": labelling_id,
        "cluster_count": len(clusters),
        "suggested_count": sum(one["class_number"] is not None for one in made),
        "abstained_count": sum(one["class_number"] is None for one in made),
        "left_out_count": len(clusters) - len(made),
        "why_ended": why_ended,
        "call_count": model.budget.calls,
        "token_count": model.budget.tokens,
    }


def _suggestion(client: Client, cluster: Json, question: _Question, request: Request, model: VisionModel) -> Json:
    """A suggestion with all that it rests on. One for which the budget does not last is none: fewer votes say less."""
    pictures = _montage(client, cluster["representatives"])
    calls, tokens = model.budget.calls, model.budget.tokens
    said = [model.ask(SYSTEM, question.text, pictures, question.schema) for _ in range(request.votes)]
    votes = [question.read(one) for one in said]
    return {
        "class_number": _agreed(votes, request.agreement),
        "votes": votes,
        "origin": {
            "model": model.model,
            "answered_by": next((one.answered_by for one in said if one.answered_by), None),
            "endpoint": model.endpoint,
            "prompt_sha256": question.sha256,
            "rows": [cell["row"] for cell in cluster["representatives"]],
            "tissue": request.tissue,
            "call_count": model.budget.calls - calls,
            "token_count": model.budget.tokens - tokens,
            "morula": version("morula"),
        },
    }


def _agreed(votes: Sequence[Json], agreement: float) -> int | None:
    (first, count), *_ = Counter(vote["class_number"] for vote in votes).most_common(1)
    return first if first is not None and count >= agreement * len(votes) else None


def _montage(client: Client, cells: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """The sheets of a cluster's typical cells, and the same with more around each."""
    sheets = list(dict.fromkeys(cell["sheet"] for cell in cells))
    own = [_of_rows(sheet, cells) for sheet in sheets]
    return [client.bytes(sheet) for sheet in own] + [client.bytes(f"{sheet}&window_um={CONTEXT_UM}") for sheet in own]


def _of_rows(sheet: str, cells: Sequence[Mapping[str, Any]]) -> str:
    """A sheet of these cells alone, where it is shared with those of other clusters."""
    parts = urlsplit(sheet)
    query = parse_qs(parts.query)
    rows = ",".join(str(cell["row"]) for cell in cells if cell["sheet"] == sheet)
    return f"{parts.path}?{urlencode({'slide_id': query['slide_id'][0], 'rows': rows}, safe=',')}"
