"""The card of a network: what it is, what it learned from, what it is worth; for machines and for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from morula.training.config import Config
from morula.training.data import PARTS
from morula.training.engine import Outcome
from morula.training.evaluate import Figures
from morula.training.objectives import Finished, Sets
from morula.training.prepared import Prepared

_TOLD = ("f1_0.5", "pq", "aji", "image_count", "true_count")


def card(
    config: Config,
    sets: Sets,
    outcome: Outcome,
    digests: Mapping[str, str],
    finished: Finished,
    curve: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Everything that can be said of a network, as JSON."""
    return {
        "name": config.name,
        "objective": config.objective,
        "licence": config.licence,
        "notes": config.notes,
        "files": dict(digests),
        "row": {"family": finished.family, "channels": list(finished.channels), **config.row.model_dump(),
                "licence": config.licence or "not stated", "trained_on": _origins(config)},
        "trained": {"ended": outcome.end, "steps": outcome.step, "best_step": outcome.best_step,
                    "watched_score": round(outcome.best_score, 4), "crops": outcome.step * config.schedule.batch},
        "sources": [
            {"name": source.name, "licence": source.licence, "credit": source.credit} for source in config.sources
        ],
        "images": _images(sets),
        "held_out_groups": {part: sorted({one.group for one in sets[part]}) for part in PARTS if part != "train"},
        **finished.figures,
        **({"curve": list(curve)} if curve else {}),
        "config": config.model_dump(mode="json"),
    }  # fmt: skip


def _images(sets: Sets) -> dict[str, dict[str, dict[str, int]]]:
    images: dict[str, dict[str, dict[str, int]]] = {}
    for part, examples in sets.items():
        told = counted(examples).items()
        images[part] = {kind: {"images": count, "objects": objects} for kind, (count, objects) in told}
    return images


def _origins(config: Config) -> str:
    return ", ".join(f"{source.name} ({source.licence or 'licence not stated'})" for source in config.sources)


def counted(examples: Sequence[Prepared]) -> dict[str, tuple[int, int]]:
    """Images and objects of each kind."""
    images = Counter(one.kind for one in examples)
    objects: Counter[str] = Counter()
    for one in examples:
        objects[one.kind] += one.object_count
    return {kind: (images[kind], objects[kind]) for kind in sorted(images)}


def markdown(card: Mapping[str, Any]) -> str:
    """The card as people read it."""
    trained = card["trained"]
    parts = [
        f"# {card['name']}",
        card["notes"],
        f"Licence: {card['licence'] or 'not stated'}.",
        f"{trained['steps']} steps, {trained['crops']} crops; weights of step {trained['best_step']}.",
        "## Files",
        _table(("file", "sha256"), [(name, f"`{digest}`") for name, digest in card["files"].items()]),
        "## What it learned from",
        _table(("source", "licence", "credit"), [(s["name"], s["licence"], s["credit"]) for s in card["sources"]]),
        _table(("kind of image", *PARTS), _counts(card["images"])),
        "Images and, in brackets, objects. A group is in one part only: `watch` chose the weights, `test` nothing.",
    ]
    if "starts_from" in card:
        parts.append(f"It started from {card['starts_from']}.")
    for title, figures in card.get("scores", {}).items():
        parts += [f"## Scores on the test groups: {title}", _scores(figures)]
    if card.get("scores"):
        parts.append(f"`{card['name']}.jpg` shows the worst of each kind: the image, its truth, what was found.")
    if "robustness" in card:
        parts += ["## Robustness: F1 at an IoU of 0.5", *(_curve(*item) for item in card["robustness"].items())]
    if "curve" in card:
        parts += ["## Score by the number of images", _growth(card["curve"]),
                  "Watched groups chose the weights of each row, tested ones nothing."]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(map(str, row)) for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(f"| {line} |" for line in lines)


def _counts(images: Mapping[str, Any]) -> list[list[str]]:
    kinds = sorted({kind for part in images.values() for kind in part})
    return [
        [kind, *(f"{n['images']} ({n['objects']})" if (n := images[part].get(kind)) else "" for part in PARTS)]
        for kind in kinds
    ]


def _scores(figures: Figures) -> str:
    rows = [
        [kind, *(f"{values[name]:.4g}" if name in values else "" for name in _TOLD)] for kind, values in figures.items()
    ]
    return _table(("kind", "F1@0.5", "PQ", "AJI", "images", "objects"), rows)


def _growth(points: Sequence[Mapping[str, Any]]) -> str:
    shown = ("image_count", "group_count", "object_count", "watched", "tested")
    rows = [[f"{point[name]:g}" if point[name] is not None else "" for name in shown] for point in points]
    return _table(("images", "groups", "objects", "watched score", "tested score"), rows)


def _curve(name: str, points: Sequence[Sequence[float]]) -> str:
    return _table((name, *(f"{x:g}" for x, _ in points)), [("F1@0.5", *(f"{y:.3f}" for _, y in points))])
