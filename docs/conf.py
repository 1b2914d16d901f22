"""The site of the papers. Its root is the repository's, so that links hold in both; `make docs` builds it."""

import re

from sphinx.application import Sphinx

project = "Morula"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["*.md", "benchmarks/README.md", "docs/**.md"]
exclude_patterns = [".*", "build", "**/node_modules", "gateway", "services", "protos", "tests"]
myst_heading_anchors = 3
highlight_language = "none"
html_theme = "furo"
html_title = "Morula"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False

INDEXES = ("docs/index", "docs/decisions/index")
LINK = re.compile(r"\]\(([^):]+\.md)\)")


def add_contents(_app: Sphinx, page: str, source: list[str]) -> None:
    """The pages that an index links to are its contents, in this order: there is no second list."""
    if page in INDEXES:
        source[0] += "\n".join(["", "```{toctree}", ":hidden:", "", *LINK.findall(source[0]), "```", ""])


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_contents)
