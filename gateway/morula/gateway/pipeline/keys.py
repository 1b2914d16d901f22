"""Where each artifact of a job lies. A key is a digest of all that determines the artifact, so all are known before."""

from collections.abc import Sequence
from dataclasses import dataclass

from morula.common.keys import artifact_key
from morula.gateway.pipeline.params import Params
from morula.v1.clusterer_pb2 import ClusteringKeys


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
            "shard_tile_count": self.params.shard_tile_count,
        }
        return artifact_key(self.project, self.slide_digest, "plan", "parquet", inputs=[self.slide_digest], params=grid)

    def tiles(self, shard: int) -> str:
        return self._of_plan("tiles", "parquet", shard)

    def pixels(self, shard: int) -> str:
        return self._of_plan("pixels", "arrow", shard)

    def cells(self, shard: int) -> str:
        model = (self.params.segmenter, self.params.segmenter_revision)
        inputs = [self.pixels(shard), self.tiles(shard)]
        return self._key("cells", "parquet", inputs, model)

    def vectors(self, shard: int) -> str:
        return self._of_cells("vectors", "npy", shard)

    def morphology(self, shard: int) -> str:
        return self._of_cells("morphology", "parquet", shard)

    def index(self, shard_count: int) -> str:
        return self._key("index", "parquet", [self.cells(n) for n in range(shard_count)])

    def outlines(self, shard_count: int) -> str:
        return self._key("outlines", "arrow", [self.cells(n) for n in range(shard_count)])

    def _of_plan(self, stage: str, ext: str, shard: int) -> str:
        return artifact_key(
            self.project,
            self.slide_digest,
            stage,
            ext,
            inputs=[self.plan],
            params={"shard_index": shard, "gate": self.params.tile_gate},
        )

    def _of_cells(self, stage: str, ext: str, shard: int) -> str:
        model = (self.params.embedder, self.params.embedder_revision)
        return self._key(stage, ext, [self.pixels(shard), self.cells(shard)], model)

    def _key(self, stage: str, ext: str, inputs: Sequence[str], model: tuple[str, str] | None = None) -> str:
        return artifact_key(self.project, self.slide_digest, stage, ext, inputs=inputs, params={}, model=model)


def clustering_keys(
    project: str, scope: str, inputs: Sequence[str], params: Params, embedder: tuple[str, str]
) -> ClusteringKeys:
    """Keys of a clustering; inputs are the indexes and vectors of its slides, scope is a slide or a cohort."""
    chosen = {"leaf_count": params.leaf_count, "neighbour_count": params.neighbour_count, "seed": params.seed}

    def key(stage: str, ext: str) -> str:
        return artifact_key(project, scope, stage, ext, inputs=inputs, params=chosen, model=embedder)

    return ClusteringKeys(
        leaf_key=key("leaf", "npy"),
        tree_key=key("tree", "json"),
        features_key=key("features", "npy"),
        confidence_key=key("confidence", "npy"),
        layout_key=key("layout", "npy"),
    )


def table_key(project: str, scope: str, name: str, inputs: Sequence[str]) -> str:
    """Key of a file that a job leaves for people."""
    stem, _, ext = name.partition(".")
    return artifact_key(project, scope, "table", ext, inputs=inputs, params={"name": stem})
