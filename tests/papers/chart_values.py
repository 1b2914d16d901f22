"""The page of all values of the chart, from `values.yaml` and the comments in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[2] / "deploy" / "chart"
PAGE = CHART / "README.md"

HEAD = """\
# The chart's values
This page is written by `python -m tests.papers` from `values.yaml`; a test fails where it differs. A value that is not
here is an error. How to install, upgrade and look after a release: [Kubernetes](../../docs/kubernetes.md). Examples
are in `ci/`: `default`, `cpu-dev` (one machine, both servers inside), `gpu` (from zero to many and back), `ha`,
`hospital` (nothing leaves the building).

## The release
"""
SHARED = """
## Every component
`defaults` has them for all; below the component's own name (`segmenter.replicas`) they hold for it alone. Maps are
joined, lists replaced.

"""
COMPONENTS = """
## The components
| component | what it does | differs from the defaults in |
|---|---|---|
"""
TABLE = "| value | default | meaning |\n|---|---|---|\n"
_KEY = re.compile(r"(?P<indent> *)(?P<key>\w+):(?P<rest>.*)")


def render() -> str:
    """The page's text."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    rows = list(_rows(text, values))
    names = list(values)
    components = names[names.index("defaults") + 1 :]
    shared = [row for path, row in rows if path.startswith("defaults.")]
    own = [row for path, row in rows if path.split(".")[0] not in [*components, "defaults"]]
    parts = [_component(text, name, values[name]) for name in components]
    return "".join([HEAD, TABLE, *own, SHARED, TABLE, *shared, COMPONENTS, *parts])


def _rows(text: str, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """A row for every value, and for every map that has a meaning of its own."""
    path: list[str] = []
    meaning = ""
    for line in text.splitlines():
        if line.strip().startswith("# -- "):
            meaning = line.strip().removeprefix("# -- ")
        elif found := _KEY.fullmatch(line):
            path = [*path[: len(found["indent"]) // 2], found["key"]]
            value: Any = values
            for key in path:
                value = value[key]
            is_inner = isinstance(value, dict) and not found["rest"].strip()
            if meaning or not is_inner:
                default = "" if is_inner else f"`{json.dumps(value)}`"
                yield ".".join(path), f"| `{'.'.join(path).removeprefix('defaults.')}` | {default} | {meaning} |\n"
            meaning = ""


def _component(text: str, name: str, own: dict[str, Any]) -> str:
    """A row for a component: the comment above it, and its own values."""
    before = text[: text.index(f"\n{name}:\n")].rsplit("\n\n", 1)[-1]
    words = " ".join(line.removeprefix("# ") for line in before.splitlines())
    return f"| `{name}` | {words} | `{json.dumps(own)}` |\n"
