"""The embedders that are always there; networks come with an operator's files."""

from __future__ import annotations

from collections.abc import Mapping

from morula.common.models import MORPHOLOGY, REGISTRY, find, variant
from morula.common.stain import Stain
from morula.embedder.features import SegmentersFeatures
from morula.embedder.instances import Embedder
from morula.embedder.named import NamedColumns, measured

MODELS: Mapping[str, Embedder] = {
    **{spec.name: NamedColumns(spec.columns) for spec in REGISTRY if MORPHOLOGY in (spec.name, spec.variant_of)},
    "morula-nuclei-features": SegmentersFeatures(find("morula-nuclei-features", "embedder")),
}


def morphology_of(stain: Stain | None) -> list[str]:
    """Columns of the table of morphology, which lies beside the vectors of every embedder."""
    return measured(variant(find(MORPHOLOGY, "embedder"), stain, REGISTRY).columns)
