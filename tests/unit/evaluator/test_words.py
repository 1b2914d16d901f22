"""The page and the report call numbers the same, and say the same of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from morula.evaluator.words import BASELINES, MEASURES

PAGE = Path(__file__).parents[3] / "gateway" / "web" / "src" / "evaluation" / "numbers.ts"


@pytest.mark.parametrize("words", [MEASURES, {name: (words,) for name, words in BASELINES.items()}])
def test_the_page_has_the_reports_words_in_their_order(words: dict[str, tuple[str, ...]]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    places = []
    for name, texts in words.items():
        quoted = r"[\s\[]*,?\s*".join(f'"{re.escape(text)}"' for text in texts)
        found = re.search(rf"\n  {name}: [\s\[]*{quoted}", page)
        assert found, name
        places.append(found.start())
    assert places == sorted(places)
