"""`python -m tests.papers`: writes the pages that are made from the code."""

from tests.papers import chart_values, settings

if __name__ == "__main__":
    for page in (settings, chart_values):
        page.PAGE.write_text(page.render(), encoding="utf-8")
