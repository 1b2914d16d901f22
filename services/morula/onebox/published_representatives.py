"""The surest cells of each cluster, as the published system chooses and lists them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from morula.common.published import file_name
from morula.evaluator.published_files import AnnotatedCell, AnnotatedTile


@dataclass(frozen=True)
class Choice:
    """How many of each cluster, and how sure they have to be."""

    threshold: float = 0.0
    max_items: int = 20


@dataclass(frozen=True)
class Chosen:
    """Tiles with the cells that were chosen, and what the three files say."""

    tiles: Sequence[AnnotatedTile]
    files: Mapping[str, Any]


def choose(slide: str, tiles: Sequence[AnnotatedTile], choice: Choice) -> Chosen:
    """Noise is a cluster like any other, and is left out by any threshold: its confidence is 0."""
    clusters: dict[int, list[tuple[float, int, AnnotatedCell]]] = defaultdict(list)
    sizes: dict[int, int] = defaultdict(int)
    for place, tile in enumerate(tiles):
        for cell in tile.cells:
            if cell.cluster_id is None:
                continue
            sizes[cell.cluster_id] += 1
            if (cell.cluster_confidence or 0.0) >= choice.threshold:
                clusters[cell.cluster_id].append((cell.cluster_confidence or 0.0, place, cell))
    kept = {
        cluster: sorted(found, key=lambda one: -one[0])[: choice.max_items]
        for cluster, found in sorted(clusters.items())
    }
    cells_of: dict[int, list[AnnotatedCell]] = defaultdict(list)
    for found in kept.values():
        for _, place, cell in found:
            cells_of[place].append(cell)
    chosen = [tiles[place].model_copy(update={"cells": cells_of[place]}) for place in sorted(cells_of)]
    annotations = [tile.model_dump(mode="json", exclude_unset=True) for tile in chosen]
    summary = [_summary(tile) for tile in chosen]
    analysis = {
        "analysis_metadata": {
            "slide_name": slide,
            "confidence_threshold": choice.threshold,
            "max_items_per_cluster": choice.max_items,
            "total_clusters": len(kept),
            "total_filtered_cells": sum(map(len, kept.values())),
            "total_tiles_with_filtered_cells": len(chosen),
        },
        "cluster_statistics": {str(cluster): _statistics(found, sizes[cluster]) for cluster, found in kept.items()},
        "tiles_summary": summary,
        "filtered_annotations": annotations,
    }
    files = {"filtered_annotations": annotations, "tile_summary": summary, "cluster_analysis": analysis}
    return Chosen(chosen, {f"{name}.json": content for name, content in files.items()})


def _summary(tile: AnnotatedTile) -> dict[str, Any]:
    counts: dict[str, int] = defaultdict(int)
    for cell in tile.cells:
        counts[str(cell.cluster_id)] += 1
    clusters = sorted(map(int, counts))
    return {"tile_path": tile.tile_path, "clusters": clusters, "number_of_cells_per_cluster": dict(counts)}


def _statistics(found: Sequence[tuple[float, int, AnnotatedCell]], size: int) -> dict[str, Any]:
    sure = [confidence for confidence, _, _ in found]
    span = {"min": min(sure), "max": max(sure), "avg": sum(sure) / len(sure)}
    # Its own count is of the cells chosen; how large the cluster is stands beside it.
    return {"total_cells": len(found), "confidence_range": span, "cluster_size": size}


def name_of(tile: AnnotatedTile) -> str:
    """The name of a tile's file."""
    return file_name(tile.tile_path)
