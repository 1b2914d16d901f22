"""A multimodal model behind an endpoint that speaks the protocol of OpenAI's chat completions, wherever it runs.

The endpoint is not trusted: what it says is bounded in bytes and time, and no text leaves here with the key in it.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
from pydantic import BaseModel, Field, ValidationError

from morula.common.redaction import keep_secret, keep_url_secret, redact
from morula.onebox.failures import Failure, WrongUse

TIMEOUT_S = 120.0
TRIES = 4
LONGEST_WAIT_S = 60.0
WAITED_FOR = frozenset({408, 429, 500, 502, 503, 504})
MAX_ANSWER_TOKENS = 300
MAX_ANSWER_BYTES = 1 << 20
NAME_LETTERS, WORDS_LETTERS = 200, 300


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
    total_tokens: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    """A model reads some hundred thousand at most: with other numbers no budget would hold."""


class _Completion(BaseModel):
    model: str | None = None
    choices: list[_Choice]
    usage: _Usage | None = None


@dataclass(frozen=True)
class Said:
    """What the model said to one question; no text where it refused or nothing came. All but the text is clean."""

    text: str | None
    why_not: str = ""
    answered_by: str | None = None


class VisionModel:
    """One model at one endpoint."""

    def __init__(
        self, base_url: str, model: str, key: str | None, budget: Budget, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.model = model
        self.endpoint = _endpoint(base_url)
        self.budget = budget
        self._timeout_s = timeout_s
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {_checked(key)}"} if key else {})
        self._http = httpx.AsyncClient(base_url=base_url.rstrip("/") + "/", headers=headers, timeout=timeout_s)
        self._loop = asyncio.Runner()

    def __enter__(self) -> VisionModel:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run(self._http.aclose())
        self._loop.close()

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
                response, content = self._loop.run(self._post(body))
            except (TimeoutError, httpx.TimeoutException):
                why_not = "no answer in time"
                continue
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                why_not = "the connection broke off"
                _pause(attempt)
                continue
            except httpx.TransportError as error:
                words = clean(str(error), WORDS_LETTERS)
                raise Failure(f"{self.endpoint} cannot be reached: {words}") from error
            except httpx.InvalidURL as error:
                # httpx reads where an answer sends us, although we do not go there.
                raise Failure(f"{self.endpoint} sends elsewhere, to what is no address") from error
            if response.is_success:
                return self._read(response, content)
            if response.status_code not in WAITED_FOR:
                words = clean(content.decode(errors="replace"), WORDS_LETTERS)
                raise Failure(f"{self.endpoint} answered {response.status_code}: {words}")
            why_not = f"{self.endpoint} answered {response.status_code}"
            _pause(attempt, response.headers.get("retry-after", ""))
        return Said(None, why_not)

    async def _post(self, body: Mapping[str, Any]) -> tuple[httpx.Response, bytes]:
        """The answer and what it holds, or as much of it as is read."""
        content = b""
        # httpx waits so long for each piece of an answer: the whole one has no more time.
        async with (
            asyncio.timeout(self._timeout_s),
            self._http.stream("POST", "chat/completions", json=body) as response,
        ):
            # As it came over the line: what is packed may be a thousand times as long.
            async for piece in response.aiter_raw():
                content += piece
                if len(content) > MAX_ANSWER_BYTES:
                    break
        return response, content

    def _read(self, response: httpx.Response, content: bytes) -> Said:
        if len(content) > MAX_ANSWER_BYTES:
            return Said(None, f"the answer has more than {MAX_ANSWER_BYTES:,} bytes")
        if (packed := response.headers.get("content-encoding", "identity")) != "identity":
            return Said(None, clean(f"the answer is packed, which nobody asked for: {packed}", WORDS_LETTERS))
        try:
            told = _Completion.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            words = ": ".join(filter(None, [".".join(map(str, first["loc"])), first["msg"]]))
            return Said(None, clean(f"the answer is none of the protocol: {words}", WORDS_LETTERS))
        self.budget.tokens += told.usage.total_tokens if told.usage else 0
        answered_by = clean(told.model or "", NAME_LETTERS) or None
        if not told.choices:
            return Said(None, "the answer is empty", answered_by)
        choice = told.choices[0]
        if choice.message.refusal or choice.finish_reason == "content_filter":
            refusal = choice.message.refusal or choice.finish_reason
            return Said(None, clean(f"refused: {refusal}", WORDS_LETTERS), answered_by)
        return Said(choice.message.content, "" if choice.message.content else "the answer is empty", answered_by)


def clean(text: str, letters: int) -> str:
    """What somebody else said, fit to be kept and shown: in one line, without the key, and not too long."""
    return redact("".join(letter for letter in " ".join(text.split()) if letter.isprintable()))[:letters].strip()


def _endpoint(base_url: str) -> str:
    """The address as it may be told; WrongUse where it is none."""
    keep_url_secret(base_url)
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise WrongUse(f"--base-url is no address: {clean(str(error), WORDS_LETTERS)}") from error
    if url.scheme not in ("http", "https") or not url.host or (url.port or 0) > 65_535:
        raise WrongUse("--base-url is an address that begins with http:// or https://, as http://127.0.0.1:11434/v1")
    if url.query or url.fragment:
        raise WrongUse("--base-url ends with its path: nothing can follow on ? or #")
    return str(url.copy_with(username="", password=""))


def _checked(key: str) -> str:
    """The key as it is sent, and from here on in no text; WrongUse where it can be none."""
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise WrongUse("the key is one line of ASCII letters: what the environment holds is none")
    keep_secret(key)
    return key


def _pause(attempt: int, asked: str = "") -> None:
    """As long as the endpoint asks for, in seconds, else twice as long each time; never without end, nor at the end."""
    if attempt + 1 < TRIES:
        wanted = float(asked) if asked.replace(".", "", 1).isdecimal() else 2.0**attempt
        time.sleep(min(wanted, LONGEST_WAIT_S))
