"""What requests and answers about suggestions look like."""

from typing import Annotated

from pydantic import Field

from morula.gateway.fields import ClassNumber, Name, Number, Request
from morula.gateway.schemas import Answer, Time

Reason = Annotated[str, Field(max_length=1000)]
Votes = Annotated[list["Vote"], Field(min_length=1, max_length=50)]


class Vote(Request):
    """One answer: a class, or null where the program would not say."""

    class_number: ClassNumber | None
    reason: Reason = ""


class Origin(Request):
    """What made a suggestion, so that it can be judged and asked for again."""

    model: Name
    answered_by: Name | None = None
    """What the endpoint called itself."""
    endpoint: Annotated[str, Field(max_length=2000)]
    prompt_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    rows: Annotated[list[Number], Field(max_length=100)]
    """The cells that it was shown."""
    tissue: Annotated[str, Field(max_length=200)] = ""
    call_count: Number
    token_count: Number
    morula: Name


class NewSuggestion(Request):
    """What a program thinks that a cluster is; null where its votes agree too little."""

    class_number: ClassNumber | None
    votes: Votes
    origin: Origin


class Suggestion(Answer):
    """What a program thinks that a cluster is. It is no label: nothing is learnt from it."""

    node_id: int
    class_number: int | None
    votes: list[Vote]
    origin: Origin
    created_at: Time


class Suggestions(Answer):
    suggestions: list[Suggestion]


NewSuggestion.model_rebuild()
