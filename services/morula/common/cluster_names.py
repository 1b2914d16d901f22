"""What clusters are called that nobody named themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def inherit_names(names: Mapping[int, int], nodes: Sequence[int], parent: Mapping[int, int | None]) -> dict[int, int]:
    """Name of each of these nodes that has one: its own, else its nearest named ancestor's."""
    inherited = {}
    for node in nodes:
        above: int | None = node
        while above is not None and above not in names:
            above = parent[above]
        if above is not None:
            inherited[node] = names[above]
    return inherited
