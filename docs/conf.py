"""The site of the papers. Its root is the repository's, so that links hold in both; `make docs` builds it."""

import re
from pathlib import Path

from sphinx.application import Sphinx

project = "Morula"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = [
    "*.md",
    "benchmarks/README.md",
    "deploy/chart/README.md",
    "docs/**.md",
    "services/morula/networks/weights/*.md",
]
exclude_patterns = [".*", "build", "**/node_modules", "gateway", "protos", "tests"]
myst_heading_anchors = 3
highlight_language = "none"
html_theme = "furo"
html_title = "Morula"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False

INDEXES = ("docs/index", "docs/decisions/index")
LINK = re.compile(r"\]\(([^):]+\.md)\)")


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Contents are the pages that an index links to, in this order, and what else lies beside it: no second list."""
    if page in INDEXES:
        beside = sorted(path.name for path in (Path(app.srcdir) / page).parent.glob("*.md"))
        pages = dict.fromkeys([*LINK.findall(source[0]), *beside])
        lines = [name for name in pages if name != "index.md"]
        source[0] += "\n".join(["", "```{toctree}", ":hidden:", "", *lines, "```", ""])


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_contents)
