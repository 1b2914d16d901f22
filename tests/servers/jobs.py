"""What most tests ask of a job: its segmenter needs no network, so it ends in seconds."""

from __future__ import annotations


def classical(slide_id: str, **more: object) -> dict[str, object]:
    """The request of a job on a slide."""
    return {"slide_id": slide_id, "segmenter": "watershed", **more}
