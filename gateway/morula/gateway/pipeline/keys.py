"""Keys of a job's artifacts. A key is a digest of what determines the artifact, so all keys are known beforehand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from morula.common.keys import artifact_key, digest
from morula.gateway.pipeline.params import Params
from morula.v1.clusterer_pb2 import Clustering, ClusteringKeys, ClusterParams


@dataclass(frozen=True)
class Shard:
    """A shard of the plan; with `regions`, those of its regions that are cut again with the second halo."""

    number: int
    """Number of its units of work; second cuts are numbered after the plan's shards."""
    index: int
    """Number of the shard in the plan."""
    regions: tuple[int, ...] = ()

    @property
    def first_cut(self) -> "Shard":
        return Shard(self.index, self.index)


def second_cuts(truncated_regions: Sequence[Sequence[int]]) -> list[Shard]:
    """The second cuts, from the truncated regions of each of the plan's shards."""
    again = [(index, tuple(regions)) for index, regions in enumerate(truncated_regions) if regions]
    return [Shard(number, *each) for number, each in enumerate(again, len(truncated_regions))]


@dataclass(frozen=True)
class SlideKeys:
    """Keys of one slide's artifacts under one set of parameters."""

    project: str
    slide_digest: str
    params: Params

    @property
    def plan(self) -> str:
        grid = {
            "mpp": self.params.mpp,
            "slide_mpp": self.params.slide_mpp,
            "tile_px": self.params.tile_px,
            "halo_px": self.params.halo_px,
            "region_tile_count": self.params.region_tile_count,
            "origin_px": (self.params.origin_x_px, self.params.origin_y_px),
            "shard_tile_count": self.params.shard_tile_count,
        }
        return artifact_key(
            self.project,
            self.slide_digest,
            "plan",
            "parquet",
            inputs=[self.slide_digest],
            params=grid | self._selection() | ({"stain": self.params.stain} if self.params.stain else {}),
        )

    def _selection(self) -> dict[str, Any]:
        """Parameters that decide which tiles are candidates; gate and seed are among them only if a sample is drawn."""
        sample = {
            "sample_tile_count": self.params.sample_tile_count,
            "gate": self.params.tile_gate,
            "seed": self.params.seed,
        }
        regions = {"include": self.params.include_geojson, "exclude": self.params.exclude_geojson}
        # Every other gate judges what is read, and leaves the plan alone.
        gate = {"gate": self.params.tile_gate} if self.params.tile_gate == "every" else {}
        return regions | gate | (sample if self.params.sample_tile_count else {})

    def tiles(self, shard: Shard) -> str:
        return self._of_plan("tiles", "parquet", shard)

    def pixels(self, shard: Shard) -> str:
        """A key of all that determines the shard's pixels, whichever job cuts them."""
        if shard.regions:
            # The key of the cells implies which regions: the table of cells names them and never changes.
            inputs, params = [self.cells(shard.first_cut)], {"halo_px": self.params.second_halo_px}
            return artifact_key(self.project, self.slide_digest, "pixels", "arrow", inputs=inputs, params=params)
        return self._of_plan("pixels", "arrow", shard)

    def own_pixels(self, job_id: str, shard: Shard) -> str:
        """The key of a job's own pixels of the shard: this job alone writes, reads and deletes them."""
        folder, _, name = self.pixels(shard).rpartition("/")
        return f"{folder}/{job_id}-{name}"

    def cells(self, shard: Shard) -> str:
        model = (self.params.segmenter, self.params.segmenter_revision)
        inputs = [self.pixels(shard), self.tiles(shard)]
        # A diameter that nobody chose follows from the model and the plan.
        params = self.params.segmentation
        if self.params.network_dtype:
            params |= {"dtype": self.params.network_dtype, "thread_count": self.params.network_thread_count}
        return artifact_key(
            self.project, self.slide_digest, "cells", "parquet", inputs=inputs, params=params, model=model
        )

    def vectors(self, shard: Shard) -> str:
        return self._of_cells("vectors", "npy", shard)

    def morphology(self, shard: Shard) -> str:
        return self._of_cells("morphology", "parquet", shard)

    def shard_list(self, shards: Sequence[Shard], sha256: str) -> str:
        """The key of the list of shards. It contains the list's digest, because the list names digests of artifacts."""
        inputs = [self.cells(shard) for shard in shards]
        params = {"vectors": self.vectors_digest(shards), "sha256": sha256}
        return artifact_key(self.project, self.slide_digest, "shards", "binpb", inputs=inputs, params=params)

    def vectors_digest(self, shards: Sequence[Shard]) -> str:
        return digest([self.vectors(shard) for shard in shards])

    def index(self, shards: Sequence[Shard]) -> str:
        return self._key("index", "parquet", [self.cells(shard) for shard in shards])

    def outlines(self, shards: Sequence[Shard]) -> str:
        return self._key("outlines", "arrow", [self.cells(shard) for shard in shards])

    def _of_plan(self, stage: str, ext: str, shard: Shard) -> str:
        return artifact_key(
            self.project,
            self.slide_digest,
            stage,
            ext,
            inputs=[self.plan],
            params={"shard_index": shard.index, "gate": self.params.tile_gate},
        )

    def _of_cells(self, stage: str, ext: str, shard: Shard) -> str:
        model = (self.params.embedder, self.params.embedder_revision)
        params: dict[str, Any] = {}
        if self.params.embedder_dtype:
            params = {"dtype": self.params.embedder_dtype, "thread_count": self.params.embedder_thread_count}
        inputs = [self.pixels(shard), self.cells(shard)]
        return artifact_key(self.project, self.slide_digest, stage, ext, inputs=inputs, params=params, model=model)

    def _key(self, stage: str, ext: str, inputs: Sequence[str]) -> str:
        return artifact_key(self.project, self.slide_digest, stage, ext, inputs=inputs, params={})


def clustering_keys(
    project: str, scope: str, inputs: Sequence[str], params: ClusterParams, embedder: tuple[str, str]
) -> ClusteringKeys:
    """Keys of a clustering; inputs are the indexes and vectors of its slides, scope is a slide or a cohort."""
    # Zero means the default and is left out, so that a new parameter changes no key unless it is chosen. The seed is
    # always there, because zero is a seed, too.
    chosen = {"seed": params.seed} | {field.name: value for field, value in params.ListFields()}

    def key(stage: str, ext: str) -> str:
        return artifact_key(project, scope, stage, ext, inputs=inputs, params=chosen, model=embedder)

    return ClusteringKeys(
        leaf_key=key("leaf", "npy"),
        tree_key=key("tree", "json"),
        features_key=key("features", "npy"),
        confidence_key=key("confidence", "npy"),
        layout_key=key("layout", "npy"),
    )


def changed_keys(before: Clustering, stages: Sequence[str], params: Mapping[str, Any]) -> list[str]:
    """Keys of what a change by these parameters makes of a clustering: all else stays what it was."""
    project, scope, *_ = before.leaf.key.split("/")
    inputs = [before.leaf.key, before.tree.key, before.features.key]
    extensions = {"tree": "json"}
    return [
        artifact_key(project, scope, stage, extensions.get(stage, "npy"), inputs=inputs, params=params)
        for stage in stages
    ]


def table_key(project: str, scope: str, name: str, inputs: Sequence[str]) -> str:
    """Key of a file that a job leaves for people."""
    stem, _, ext = name.partition(".")
    return artifact_key(project, scope, "table", ext, inputs=inputs, params={"name": stem})
