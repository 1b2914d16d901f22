"""An evaluation as one page that needs nothing else: the honest table first, then the published number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from morula.evaluator import figures
from morula.evaluator.comparison import in_words
from morula.evaluator.words import BASELINES, MEASURES, NOISE

MATRIX_CLASSES = 40
"""A confusion matrix shows so many classes, those with the most cells; evaluation.json has all."""
LISTED = 100
"""Tables of slides and tiles have so many rows, the lowest first; evaluation.json has all."""
Found = Mapping[str, Any]

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#111827;background:#fff;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.25rem;margin-top:2.5rem}table{border-collapse:collapse;margin:.5rem 0}
caption{text-align:left;color:#374151;padding-bottom:.4rem}th,td{padding:.25rem .7rem;text-align:right;
border-bottom:1px solid #e5e7eb;white-space:nowrap}th[scope=row],td.words{text-align:left}td.words{white-space:normal;
color:#4b5563}td.right{background:#d1fae5}td.wrong{background:#fee2e2}.wide{overflow-x:auto}
.note{border-left:4px solid #b45309;padding:.2rem .9rem;background:#fffbeb}svg{max-width:46rem;width:100%}
th small{display:block;font-weight:normal;color:#4b5563;white-space:normal;min-width:18rem}
thead th{white-space:normal;vertical-align:bottom}
"""


def page(found: Found) -> str:
    """The report of what `evaluate` found; `of` names the files it was made of, where there are some."""
    honest = found["honest"]
    sections = [*_head(found), *_honest(found), *_compared(found), *_curves(found), *_classes(honest),
                *_noise(honest), *_sure(honest), *_divided(honest), *_paper(found["paper"]), *_between(found),
                *_match(found)]  # fmt: skip
    body = "\n".join(sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Evaluation</title>'
        '<meta name="viewport" content="width=device-width">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<style>{_STYLE}</style></head><body><main>\n{body}\n</main></body></html>\n"
    )


def _measured(found: Found) -> str:
    """Labels are measured as clusters are: all cells of a class are one."""
    return str(found.get("of", {}).get("measured", "clusters"))


def _head(found: Found) -> Iterator[str]:
    of, match, interval = found.get("of", {}), found["match"], found["honest"]["interval"]
    yield f"<h1>What these {_measured(found)} are worth</h1>"
    yield f"<p>{escape(found['notice'])}</p>"
    if of:
        yield "<p>" + escape(", ".join(f"{name}: {value}" for name, value in of.items())) + "</p>"
    yield (
        f"<p>{found['honest']['accuracy']['n']:,} cells, which lie in {found['honest']['cluster_count']:,} "
        f"{_measured(found)}. "
        f"<strong>{found['match_rate']:.1%}</strong> of the {match['truth_count']:,} cells of the truth were matched "
        f"(by {escape(match['by'])}): the numbers speak of these alone. {_intervals(interval)}</p>"
    )
    if _measured(found) == "labels":
        yield "<p>All cells of a label are one cluster here, which a click names after a class of the truth.</p>"
    for line in found["remarks"]:
        yield f'<p class="note">{escape(line)}</p>'


def _intervals(interval: Found) -> str:
    if interval["over"] == "none":
        return "There are no intervals."
    return f"Intervals of 95 %: {escape(interval['over'])}, {interval['group_count']:,} of them."


def _honest(found: Found) -> Iterator[str]:
    honest = found["honest"]
    rivals = honest["baselines"]
    head = ("number", f"these {_measured(found)}", *(BASELINES[name] for name in rivals))
    rows = [
        [Named(words, meaning), told(honest[name]), *(told(rival[name], brief=True) for rival in rivals.values())]
        for name, (words, meaning) in MEASURES.items()
    ]
    yield "<h2>Honest numbers, beside what costs nothing</h2>"
    yield table(f"Ceiling: {honest['ceiling']['of']}.", head, rows)


def _compared(found: Found) -> Iterator[str]:
    if "comparison" not in found:
        return
    compared = found["comparison"]
    rows = [
        [Named(*MEASURES[name]), *(told(one[name], brief=True) for one in compared["of_both"]), told(difference),
         Words(in_words(difference))]
        for name, difference in compared["difference"].items()
    ]  # fmt: skip
    yield f"<h2>Against {escape(compared['with'])}</h2>"
    yield table(
        f"{compared['cell_count']:,} cells that are in both, {compared['left_out_count']:,} are not; "
        f"{compared['cluster_counts'][0]:,} and {compared['cluster_counts'][1]:,} clusters.",
        ("number", "these clusters", "the others", "difference", "which is"), rows,
    )  # fmt: skip


def _curves(found: Found) -> Iterator[str]:
    honest = found["honest"]
    curves = {
        f"these {_measured(found)}": honest["curve"],
        **{n: one["curve"] for n, one in honest["baselines"].items()},
    }
    yield "<h2>By clicks</h2><p>A click names a cluster, the largest first, or labels a single cell.</p>"
    yield figures.by_clicks(curves, "macro_f1", "macro-F1 by clicks")
    yield figures.by_clicks(curves, "accuracy", "accuracy by clicks")


def _classes(honest: Found) -> Iterator[str]:
    rows = [
        [one["class"], f"{one['recall']['n']:,}", told(one["recall"]), told(one["precision"]), told(one["f1"]),
         told(one["baselines"]["constant"]["recall"], brief=True)]
        for one in honest["classes"]
    ]  # fmt: skip
    yield "<h2>By class</h2>"
    yield table(
        "By class: clusters named on one part and scored on the rest.",
        ("class", "cells", "recall", "precision", "F1", "recall of a constant"),
        rows,
    )
    yield matrix("Cells by class (rows) and by the class that their cluster gives them (columns)",
                 honest["confusion"], "none")  # fmt: skip


def _noise(honest: Found) -> Iterator[str]:
    noise = honest["noise"]
    yield "<h2>Cells in no cluster</h2>"
    if not noise["cell_count"]:
        yield "<p>Every cell is in a cluster.</p>"
        return
    rows = []
    for name, words in NOISE.items():
        if (one := noise[name]) is not None:
            rows.append(
                [words, *(told(one[key]) for key in ("macro_f1", "accuracy", "ami")), f"{one['accuracy']['n']:,}"]
            )
    caption = f"{noise['cell_count']:,} cells ({noise['share']:.1%}) are in none. Everywhere else here they are wrong."
    yield table(caption, ("counted as", "macro-F1", "accuracy", "AMI", "cells"), rows)


def _sure(honest: Found) -> Iterator[str]:
    if "calibration" not in honest:
        return
    yield "<h2>Confidence</h2>"
    if honest["coverage"]:
        yield figures.by_coverage(honest["coverage"], "accuracy of the surest cells by their share")
    yield (
        f"<p>Mean distance between how sure clusters are and how many of their cells are right: "
        f"{told(honest['calibration']['error'])}.</p>"
    )
    yield figures.calibration(honest["calibration"]["bins"], "share of right cells by confidence")


def _divided(honest: Found) -> Iterator[str]:
    for plural in ("slides", "batches", "tissues", "species"):
        if plural not in honest:
            continue
        parts = sorted(honest[plural], key=lambda one: one["macro_f1"]["value"])
        rows = [
            [one["name"], f"{one['accuracy']['n']:,}", told(one["macro_f1"]), told(one["accuracy"]),
             told(one["baselines"]["constant"]["macro_f1"], brief=True),
             told(one["baselines"]["constant"]["accuracy"], brief=True)]
            for one in parts[:LISTED]
        ]  # fmt: skip
        head = ("name", "cells", "macro-F1", "accuracy", "macro-F1 of a constant", "accuracy of a constant")
        yield f"<h2>By {plural}</h2>"
        yield table(f"By {plural}, the lowest first{_rest(len(parts))}.", head, rows)


def _paper(paper: Found) -> Iterator[str]:
    yield "<h2>As published</h2>"
    yield (
        f"<p>Accuracy by tile, one to one: <strong>{paper['accuracy']:.4f}</strong>. One cluster for everything: "
        f"<strong>{paper['constant']:.4f}</strong>. Of {paper['n_cells']:,} answers: as published, a cell of "
        f'which two people said something counts twice.</p><p class="note">{escape(paper["caveat"])}</p>'
    )
    for plural in ("batches", "tissues", "species"):
        if plural in paper:
            rows = [_published(one, one.get("batch", one.get("name"))) for one in paper[plural]]
            yield table(f"By {plural}, as published", ("name", "tiles", "answers", "accuracy", "constant"), rows)
    lowest = sorted(paper["tiles"], key=lambda one: one["accuracy"])
    rows = [
        _published({"n_tiles": 1, **one}, " ".join(filter(None, (one["slide"], one["tile"]))))
        for one in lowest[:LISTED]
    ]
    yield table(
        f"By tile, the lowest first{_rest(len(lowest))}", ("name", "tiles", "answers", "accuracy", "constant"), rows
    )
    yield matrix("Answers by class (rows) and by the class that the cell's cluster is aligned to in its tile (columns)",
                 paper["confusion"], "?")  # fmt: skip


def _published(one: Found, name: Any) -> list[str]:
    return [str(name), f"{one['n_tiles']:,}", f"{one['n_cells']:,}", f"{one['accuracy']:.4f}", f"{one['constant']:.4f}"]


def _match(found: Found) -> Iterator[str]:
    match = found["match"]
    words = {"missing": "assigned, and not in the truth", "foreign": "in the truth, and not assigned",
             "doubled": "more than once in the truth"}  # fmt: skip
    rows = [[said, f"{match[name]['count']:,}", Words(", ".join(match[name]["first"]))] for name, said in words.items()]
    yield "<h2>How the truth was matched</h2>"
    yield table(f"By {match['by']}: {match['matched_count']:,} of {match['truth_count']:,} cells.",
                ("cells", "count", "the first of them"), rows)  # fmt: skip


def _between(found: Found) -> Iterator[str]:
    if (between := found.get("agreement")) is None:
        return
    rows = [[" and ".join(one["annotators"]), "Cohen's kappa", told(one["kappa"]), f"{one['kappa']['n']:,}"]
            for one in between["cohen"]]  # fmt: skip
    for name, words in {"fleiss": "Fleiss' kappa", "krippendorff": "Krippendorff's alpha"}.items():
        if between[name] is not None:
            rows.append(["all", words, told(between[name]), f"{between[name]['n']:,}"])
    yield "<h2>How far annotators agree</h2>"
    caption = f"{between['several_count']:,} cells were labelled by two or more. A truth is no better than this."
    yield table(caption, ("annotators", "number", "value", "cells"), rows)


class Words(str):
    """Words to be read rather than a number."""


class Named(str):
    """What a row is called, with what that means below it."""

    def __new__(cls, name: str, meaning: str) -> Named:
        made = super().__new__(cls, name)
        made.meaning = meaning
        return made

    meaning: str


def told(number: Found, *, brief: bool = False) -> str:
    """A number with its interval."""
    if number["value"] is None:
        return "–"
    value = f"{number['value']:.3f}"
    return value if brief or number["low"] is None else f"{value} ({number['low']:.3f} to {number['high']:.3f})"


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column names its rows."""
    columns = "".join(f'<th scope="col">{escape(one)}</th>' for one in head)
    body = "".join(
        f'<tr><th scope="row">{_name(row[0])}</th>' + "".join(_cell(one) for one in row[1:]) + "</tr>" for row in rows
    )
    return _wide(caption, f"<tr>{columns}</tr>", body)


def _name(value: str) -> str:
    return escape(value) + (f"<small>{escape(value.meaning)}</small>" if isinstance(value, Named) else "")


def _cell(value: str) -> str:
    return f'<td class="words">{escape(value)}</td>' if isinstance(value, Words) else f"<td>{escape(value)}</td>"


def matrix(caption: str, confusion: Found, beside: str) -> str:
    """A confusion matrix; right cells are green, wrong ones red."""
    rows, labels = confusion["matrix"], confusion["labels"]
    sizes = [sum(row) + extra for row, extra in zip(rows, confusion[beside], strict=True)]
    shown = sorted(sorted(range(len(labels)), key=lambda code: -sizes[code])[:MATRIX_CLASSES])
    left = f"; the {MATRIX_CLASSES} largest of {len(labels)} classes" if len(shown) < len(labels) else ""
    head = "".join(f'<th scope="col">{escape(labels[code])}</th>' for code in shown)
    body = "".join(
        f'<tr><th scope="row">{escape(labels[code])}</th>'
        + "".join(_count(rows[code][other], is_right=code == other) for other in shown)
        + f"<td>{confusion[beside][code]:,}</td></tr>"
        for code in shown
    )
    return _wide(
        caption + left,
        f'<tr><th scope="col">class</th>{head}<th scope="col">{escape(beside)}</th></tr>',
        body,
    )


def _wide(caption: str, head: str, body: str) -> str:
    """A table that moves sideways by itself where the page is too narrow."""
    title = escape(caption)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{title}"><table><caption>{title}</caption>'
        f"<thead>{head}</thead><tbody>{body}</tbody></table></div>"
    )


def _count(cells: int, *, is_right: bool) -> str:
    kind = "right" if is_right else "wrong"
    return f'<td class="{kind}">{cells:,}</td>' if cells else "<td>0</td>"


def _rest(count: int) -> str:
    return f"; {LISTED} of {count:,}, evaluation.json has all" if count > LISTED else ""
