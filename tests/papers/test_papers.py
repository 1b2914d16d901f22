"""The papers hold together: links lead somewhere, files that they name exist, and settings are those of the code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.papers import chart_values
from tests.papers.settings import PAGE, SECTIONS, render

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAPERS = [*ROOT.glob("*.md"), *(ROOT / "benchmarks").glob("*.md"), *DOCS.rglob("*.md")]
OF_THE_CODE = [
    ROOT / "CONTRIBUTING.md",
    DOCS / "architecture.md",
    DOCS / "contributing.md",
    DOCS / "operations.md",
    *(DOCS / "decisions").glob("*.md"),
]
LINK = re.compile(r"\]\(([^)\s#]+)[^)\s]*\)")
NAMED = re.compile(r"`([\w./-]+\.(?:py|ts|proto|toml|yaml|svg))`")


IDENTIFIER = re.compile(r"`([A-Za-z]\w+)`")


def listed(*endings: str) -> list[str]:
    """Files of the repository."""
    command = ["git", "ls-files", *(f"*{ending}" for ending in endings)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def name(paper: Path) -> str:
    return str(paper.relative_to(ROOT))


@pytest.mark.parametrize("paper", PAPERS, ids=name)
def test_links_lead_to_files(paper: Path) -> None:
    links = [link for link in LINK.findall(paper.read_text()) if not re.match(r"\w+:", link)]
    assert not [link for link in links if not (paper.parent / link).exists()]


@pytest.mark.parametrize("paper", OF_THE_CODE, ids=name)
def test_files_that_are_named_exist(paper: Path) -> None:
    paths = listed()
    gone = {
        named
        for named in NAMED.findall(paper.read_text())
        if not any(f"/{path}".endswith(f"/{named}") for path in paths)
    }
    assert not gone


@pytest.mark.parametrize("paper", [DOCS / "glossary.md", DOCS / "architecture.md"], ids=name)
def test_words_of_the_code_are_those_of_the_code(paper: Path) -> None:
    code = "\n".join((ROOT / path).read_text() for path in listed(".py", ".proto", ".ts", ".toml"))
    known = set(re.findall(r"\w+", code)) | set(IDENTIFIER.findall(PAGE.read_text()))
    assert not set(IDENTIFIER.findall(paper.read_text())) - known


def test_every_setting_is_on_its_page_as_the_code_has_it() -> None:
    assert PAGE.read_text() == render(), "run python -m tests.papers"


def test_every_value_of_the_chart_is_on_its_page() -> None:
    assert chart_values.PAGE.read_text() == chart_values.render(), "run python -m tests.papers"


def test_every_setting_says_what_it_means() -> None:
    fields = [(name, field) for _, settings, _ in SECTIONS for name, field in settings.model_fields.items()]
    assert not [name for name, field in fields if not field.description]
