"""A multimodal model behind an endpoint that speaks the protocol of OpenAI's chat completions, wherever it runs."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import BaseModel, ValidationError

from morula.onebox.failures import Failure

TIMEOUT_S = 120.0
TRIES = 4
LONGEST_WAIT_S = 60.0
WAITED_FOR = frozenset({408, 429, 500, 502, 503, 504})
MAX_ANSWER_TOKENS = 300


class OutOfBudget(Exception):
    """The next call would be one too many."""


@dataclass
class Budget:
    """What may be spent, and what was."""

    max_calls: int
    max_tokens: int
    calls: int = 0
    tokens: int = 0

    def take(self) -> None:
        """Counts a call before it is made, because one that fails may cost as well."""
        if self.calls >= self.max_calls:
            raise OutOfBudget(f"{self.max_calls} calls were made")
        if self.tokens >= self.max_tokens:
            raise OutOfBudget(f"{self.tokens:,} tokens were used")
        self.calls += 1


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    total_tokens: int = 0


class _Completion(BaseModel):
    model: str | None = None
    choices: list[_Choice]
    usage: _Usage | None = None


@dataclass(frozen=True)
class Said:
    """What the model said to one question; no text where it refused or nothing came."""

    text: str | None
    why_not: str = ""
    answered_by: str | None = None


class VisionModel:
    """One model at one endpoint."""

    def __init__(
        self, base_url: str, model: str, key: str | None, budget: Budget, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.model = model
        self.endpoint = str(httpx.URL(base_url).copy_with(username="", password="", query=None))
        self.budget = budget
        self._key = key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=base_url.rstrip("/") + "/", headers=headers, timeout=timeout_s)

    def __enter__(self) -> VisionModel:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, system: str, text: str, pictures: Sequence[bytes], schema: Mapping[str, Any]) -> Said:
        """One answer. What passes is waited for; Failure where every call would fail alike."""
        shown = [
            {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{base64.b64encode(one).decode()}"}}
            for one in pictures
        ]
        body = {
            "model": self.model,
            "max_tokens": MAX_ANSWER_TOKENS,
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": [{"type": "text", "text": text}, *shown]},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": schema},
            },
        }
        why_not = ""
        for attempt in range(TRIES):
            self.budget.take()
            try:
                response = self._http.post("chat/completions", json=body)
            except httpx.TimeoutException:
                why_not = "no answer in time"
                continue
            except httpx.TransportError as error:
                raise Failure(f"{self.endpoint} cannot be reached: {error}") from error
            if response.is_success:
                return self._read(response)
            if response.status_code not in WAITED_FOR:
                raise Failure(
                    f"{self.endpoint} answered {response.status_code}: {self._without_key(response.text)[:300]}"
                )
            why_not = f"{self.endpoint} answered {response.status_code}"
            if attempt + 1 < TRIES:
                time.sleep(_pause_s(response, attempt))
        return Said(None, why_not)

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "...") if self._key else text

    def _read(self, response: httpx.Response) -> Said:
        try:
            told = _Completion.model_validate_json(response.content)
        except ValidationError:
            return Said(None, "the answer is none of the protocol")
        self.budget.tokens += told.usage.total_tokens if told.usage else 0
        if not told.choices:
            return Said(None, "the answer is empty", told.model)
        choice = told.choices[0]
        if choice.message.refusal or choice.finish_reason == "content_filter":
            return Said(None, f"refused: {choice.message.refusal or choice.finish_reason}"[:300], told.model)
        return Said(choice.message.content, "" if choice.message.content else "the answer is empty", told.model)


def _pause_s(response: httpx.Response, attempt: int) -> float:
    """As long as the endpoint asks for, in seconds, else twice as long each time; never without end."""
    asked = response.headers.get("retry-after", "")
    wanted = float(asked) if asked.replace(".", "", 1).isdecimal() else 2.0**attempt
    return min(wanted, LONGEST_WAIT_S)
