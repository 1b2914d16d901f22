"""`python -m tests.papers`: writes the pages that are made from the code."""

from tests.papers.settings import PAGE, render

if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
