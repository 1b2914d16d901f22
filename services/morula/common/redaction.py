"""The last wall before a log, a trace, an answer or the ledger: values of secret settings are cut out of every text.

Settings tell their secrets here as they are read; who writes a text out need not know where it came from.
"""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qsl, quote, quote_plus, unquote

MARK = "[secret]"
SHORTEST = 4
"""Shorter secrets would match any text by chance, and are not secret anyway."""

API_KEY = re.compile(r"morula_[A-Za-z0-9_-]{43}")
"""A key of the API. Only its digest is known here, so it is cut out by its form."""

_PASSWORD = re.compile(r"://[^:/?#@]*:(.+)@")
_TELLING = re.compile(r"pass|secret|token|key|credential|auth", re.IGNORECASE)

_forms: set[str] = set()
_pattern: re.Pattern[str] | None = None


def keep_secret(*values: str) -> None:
    """From here on, no text that passes `redact` holds any of these values, however it is escaped."""
    global _pattern
    for value in values:
        if len(value) >= SHORTEST:
            _forms.update((value, json.dumps(value)[1:-1], repr(value)[1:-1], quote(value, safe=""), quote_plus(value)))
    if _forms:
        longest_first = sorted(_forms, key=len, reverse=True)
        _pattern = re.compile("|".join(map(re.escape, longest_first)))


def keep_url_secret(url: str) -> None:
    """Keeps a URL's password, and the secrets in its query, out of texts."""
    # Match to the last @: an unescaped password may contain one.
    if match := _PASSWORD.search(url):
        keep_secret(match[1], unquote(match[1]))
    for name, value in parse_qsl(url.partition("?")[2]):
        if _TELLING.search(name):
            keep_secret(value)
        elif "://" in value:
            keep_url_secret(value)


def redact(text: str) -> str:
    """The text without any secret that is known, and without any key of the API."""
    text = API_KEY.sub(MARK, text)
    return _pattern.sub(MARK, text) if _pattern else text
