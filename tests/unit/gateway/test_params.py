"""Parameters and keys: everything that matters is in them, nothing else is."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from pydantic import ValidationError

from morula.common.errors import FailedPrecondition, InvalidArgument, ModelUnavailable, SlideScaleUnknown
from morula.common.keys import artifact_key
from morula.common.models import FAMILIES, REGISTRY, find
from morula.common.stain import Stain
from morula.gateway.pipeline.keys import Shard, SlideKeys, clustering_keys, second_cuts
from morula.gateway.pipeline.params import (
    Choices,
    Numerics,
    Params,
    Segmentation,
    cohort_params,
    make_params,
    params_digest,
    stored_params,
)
from morula.v1.clusterer_pb2 import ClusterParams
from morula.v1.segmenter_pb2 import SegmentParams
from morula.v1.tiler_pb2 import TILE_GATE_DEFAULT, TILE_GATE_PAPER, TileFilter

KNOWN_MPP = 0.25
FIRST, NEXT = Shard(0, 0), Shard(1, 1)


def params(**changes: object) -> Params:
    return replace(make_params(Choices(), KNOWN_MPP, known_stain="H&E"), **changes)  # type: ignore[arg-type]


def test_a_job_from_before_stains_were_told_is_measured_as_it_was() -> None:
    asked = params().to_json()
    del asked["stain"]
    assert stored_params(asked) == params()
    unknown = make_params(Choices(), KNOWN_MPP)
    assert stored_params(unknown.to_json()) == unknown


def test_a_preset_fills_in_what_is_left_open() -> None:
    made = params()
    assert (made.segmenter, made.embedder, made.mpp, made.slide_mpp) == ("morula-nuclei", "morphology", 0.5, 0.25)
    assert made.segmenter_revision
    assert made.embedder_revision


def test_the_paper_s_preset_brings_its_filter() -> None:
    paper = make_params(Choices(preset="paper-tiles"), KNOWN_MPP)
    assert paper.tile_filter == TileFilter(gate=TILE_GATE_PAPER)
    assert params().tile_filter == TileFilter(gate=TILE_GATE_DEFAULT)
    ours, theirs = (SlideKeys("default", "d" * 64, made) for made in (params(), paper))
    assert ours.plan != theirs.plan
    assert ours.tiles(FIRST) != theirs.tiles(FIRST)
    assert ours.pixels(FIRST) != theirs.pixels(FIRST)


def test_the_paper_s_preset_looks_at_each_tile_by_itself() -> None:
    paper = make_params(Choices(preset="paper-tiles"), KNOWN_MPP)
    assert (paper.tile_px, paper.region_tile_count, paper.halo_px, paper.second_halo_px) == (512, 1, 0, 0)
    assert paper.normalize == "image"


def test_cells_of_tiles_with_percentiles_of_their_own_lie_elsewhere() -> None:
    ours, theirs = (SlideKeys("default", "d" * 64, params(normalize=name)) for name in ("slide", "image"))
    assert ours.pixels(FIRST) == theirs.pixels(FIRST)
    assert ours.cells(FIRST) != theirs.cells(FIRST)


def test_what_the_person_states_counts_more_than_what_the_slide_says() -> None:
    assert make_params(Choices(slide_mpp=0.3), KNOWN_MPP).slide_mpp == 0.3


@pytest.mark.parametrize(("mpp", "halo_px"), [(0.5, 32), (0.25, 128), (1.0, 32), (0.4, 128)])
def test_the_halo_is_wider_at_fine_scales(mpp: float, halo_px: int) -> None:
    assert make_params(Choices(mpp=mpp), KNOWN_MPP).halo_px == halo_px


def test_without_a_scale_it_says_how_to_state_one() -> None:
    with pytest.raises(SlideScaleUnknown, match="slide_mpp"):
        make_params(Choices(), None)


def test_unknown_presets_and_models_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="paper-2"):
        make_params(Choices(preset="paper-2"), KNOWN_MPP)
    with pytest.raises(ModelUnavailable):
        make_params(Choices(segmenter="nobody"), KNOWN_MPP)


PAPER = Choices(preset="paper")
RESNET = replace(find("morphology", "embedder"), name="resnet50", family="resnet50", stains=())


def test_the_paper_s_preset_is_the_published_pipeline_and_nothing_else() -> None:
    models = [*(row for row in FAMILIES if row.name == "cellpose-sam"), RESNET]
    made = make_params(PAPER, KNOWN_MPP, models, algorithms=["umap-dbscan"])
    assert (made.segmenter, made.embedder, made.tile_px, made.halo_px) == ("cellpose-sam", "resnet50", 512, 0)
    assert made.tile_filter == TileFilter(gate=TILE_GATE_PAPER)
    assert made.clustering == ClusterParams(algorithm="umap-dbscan", eps=0.5, seed=42, neighbour_count=8)
    by_knee = make_params(Choices(preset="paper", eps=0), KNOWN_MPP, models, algorithms=["umap-dbscan"])
    assert by_knee.clustering == ClusterParams(algorithm="umap-dbscan", seed=42, neighbour_count=8)
    on_gpu = make_params(PAPER, KNOWN_MPP, models, algorithms=["umap-dbscan", "umap-dbscan-cuml"])
    assert on_gpu.clustering == ClusterParams(algorithm="umap-dbscan-cuml", eps=0.5, seed=42, neighbour_count=8)


def test_a_layout_by_umap_needs_what_makes_it() -> None:
    chosen = Choices(layout="umap")
    assert make_params(chosen, KNOWN_MPP, algorithms=["umap-dbscan"]).clustering.layout == "umap"
    assert (
        make_params(chosen, KNOWN_MPP, algorithms=["umap-dbscan", "umap-dbscan-cuml"]).clustering.layout == "umap-cuml"
    )
    with pytest.raises(ModelUnavailable, match=r"umap-dbscan needs umap-learn and kneed.*\[paper\]"):
        make_params(chosen, KNOWN_MPP, algorithms=[])


def test_the_paper_s_preset_says_all_that_it_misses_and_what_brings_it() -> None:
    with pytest.raises(ModelUnavailable) as missing:
        make_params(PAPER, KNOWN_MPP, REGISTRY, algorithms=[])
    for words in ("models add cellpose-sam FILE", "models add resnet50 FILE", "umap-learn and kneed", "'.[paper]'"):
        assert words in str(missing.value)


def test_eps_is_asked_of_the_paper_s_clustering_alone() -> None:
    with pytest.raises(InvalidArgument, match="preset 'paper'"):
        make_params(Choices(eps=0.5), KNOWN_MPP)


def test_every_parameter_is_part_of_what_makes_jobs_the_same() -> None:
    base = params()
    changed = {field.name: getattr(base, field.name) for field in fields(base)}
    for name, value in changed.items():
        other = params(**{name: f"{value}x" if isinstance(value, str) else (value or 0) + 1})
        assert params_digest("slide", "s", other) != params_digest("slide", "s", base), name


def test_keys_follow_what_they_depend_on_and_nothing_else() -> None:
    base, clustered = (SlideKeys("default", "d" * 64, params(**change)) for change in ({}, {"leaf_count": 99}))
    assert base.index([FIRST, NEXT]) == clustered.index([FIRST, NEXT])
    coarser = SlideKeys("default", "d" * 64, params(mpp=1.0))
    for name in ("tiles", "pixels", "cells", "vectors", "morphology"):
        assert getattr(base, name)(FIRST) != getattr(coarser, name)(FIRST), name
        assert getattr(base, name)(FIRST) != getattr(base, name)(NEXT), name
    embedded = SlideKeys("default", "d" * 64, params(embedder_revision="other"))
    assert base.cells(FIRST) == embedded.cells(FIRST)
    assert base.vectors(FIRST) != embedded.vectors(FIRST)


@pytest.mark.parametrize(
    ("said", "known", "stain", "embedder"),
    [
        (None, "H&E", "H&E", "morphology"),
        ("ihc", "H&E", "IHC", "morphology-ihc"),
        ("HE", None, "H&E", "morphology"),
        (None, "fluorescence", "fluorescence", "morphology-fluorescence"),
        (None, "other", "other", "morphology-plain"),
        (None, None, None, "morphology-plain"),
    ],
)
def test_cells_are_described_as_their_stain_allows(
    said: str | None, known: Stain | None, stain: Stain | None, embedder: str
) -> None:
    made = make_params(Choices.model_validate({"stain": said}), KNOWN_MPP, known_stain=known)
    assert (made.stain, made.embedder) == (stain, embedder)
    assert made.embedder_revision == find(embedder, "embedder").revision
    assert ("stain" in made.to_json()) == (stain is not None)


def test_what_a_slide_does_not_have_is_not_measured() -> None:
    with pytest.raises(InvalidArgument, match="IHC, and this one has an unknown stain"):
        make_params(Choices(embedder="morphology-ihc"), KNOWN_MPP)
    with pytest.raises(ValidationError, match="stain"):
        Choices.model_validate({"stain": "purple"})


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"stain": "IHC"}, r"different stains \(H&E, IHC\)"),
        ({"stain": None}, r"different stains \(H&E, one that is not known\)"),
        ({"embedder_revision": "other"}, "different embedders"),
        ({"segmenter": "watershed"}, "different segmenters or at different scales"),
        ({"mpp": 0.25}, "different segmenters or at different scales"),
    ],
)
def test_a_cohort_compares_what_can_be_compared(other: dict[str, object], says: str) -> None:
    assert cohort_params([params(), params(leaf_count=9)]) == params()
    with pytest.raises(FailedPrecondition, match=says):
        cohort_params([params(), params(), params(**other)])


def test_another_stain_makes_everything_anew() -> None:
    keys = [SlideKeys("default", "d" * 64, params(stain=stain)) for stain in (None, "H&E", "other")]
    for name in ("pixels", "cells", "vectors", "morphology"):
        assert len({getattr(key, name)(FIRST) for key in keys}) == 3, name


NETWORKS = [*REGISTRY, *FAMILIES]


@pytest.mark.parametrize(
    ("segmenter", "asked", "made"),
    [
        ("watershed", Numerics("bfloat16", 3), ("", 0)),
        ("cellpose-sam", Numerics("bfloat16", 3), ("bfloat16", 3)),
        ("cellpose-sam", Numerics("float32", 1), ("float32", 1)),
        ("instanseg", Numerics("bfloat16", 3), ("float32", 3)),
    ],
)
def test_how_a_network_computes_is_known_before_it_does(segmenter: str, asked: Numerics, made: tuple[str, int]) -> None:
    found = make_params(Choices(segmenter=segmenter), KNOWN_MPP, NETWORKS, asked)
    assert (found.network_dtype, found.network_thread_count) == made


def test_cells_lie_where_it_was_computed_how() -> None:
    ways = [Numerics("float32", 1), Numerics("float32", 2), Numerics("bfloat16", 1)]
    keys = [
        SlideKeys("default", "d" * 64, make_params(Choices(segmenter="cellpose-sam"), KNOWN_MPP, NETWORKS, way))
        for way in ways
    ]
    assert len({key.cells(FIRST) for key in keys}) == len({key.vectors(FIRST) for key in keys}) == 3
    assert len({key.pixels(FIRST) for key in keys}) == 1


def test_vectors_lie_where_their_network_computed_how_and_cells_where_they_lay() -> None:
    ways = [Numerics("float32", 1), Numerics("float32", 2), Numerics("bfloat16", 1)]
    made = [make_params(Choices(segmenter="watershed", embedder="resnet50"), KNOWN_MPP, NETWORKS, way) for way in ways]
    assert [(each.embedder_dtype, each.embedder_thread_count) for each in made] == [
        (w.dtype, w.thread_count) for w in ways
    ]
    keys = [SlideKeys("default", "d" * 64, each) for each in made]
    assert len({key.vectors(FIRST) for key in keys}) == 3
    assert len({key.cells(FIRST) for key in keys}) == 1
    without = make_params(Choices(), KNOWN_MPP, NETWORKS, ways[0]).to_json()
    assert not {"embedder_dtype", "embedder_thread_count"} & without.keys(), "jobs of before are the same jobs"


def test_features_of_a_segmenter_are_taken_of_its_own_cells_alone() -> None:
    ours = Choices(embedder="morula-nuclei-features")
    assert make_params(ours, KNOWN_MPP, NETWORKS).embedder == "morula-nuclei-features"
    with pytest.raises(InvalidArgument, match="find the cells with morula-nuclei"):
        make_params(Choices(segmenter="watershed", embedder="morula-nuclei-features"), KNOWN_MPP, NETWORKS)


CHOSEN: dict[str, Any] = {
    "diameter_um": 12.0,
    "min_area_um2": 20.0,
    "flow_threshold": 0.0,
    "cellprob_threshold": -1.0,
    "niter": 900,
    "max_size_fraction": 0.9,
    "normalize": "image",
    "augment": True,
    "channels": ["haematoxylin", "none"],
    "keep_rejected": True,
}


def of_network(**chosen: Any) -> Params:
    return make_params(Choices(segmenter="cellpose-unet", **chosen), KNOWN_MPP, NETWORKS, Numerics("float32", 2))


def test_every_choice_of_segmentation_is_told_under_its_name_and_known_of_some_model() -> None:
    assert {*CHOSEN} == {*Segmentation.model_fields} == {name for row in NETWORKS for name, _ in row.takes}
    made = of_network(**CHOSEN)
    assert made.segmentation == CHOSEN == {name: made.to_json()[name] for name in CHOSEN}
    told = SegmentParams(**made.segmentation)
    assert {field.name: value for field, value in told.ListFields()} == CHOSEN
    assert Params(**made.to_json()) == made


@pytest.mark.parametrize("name", list(CHOSEN))
def test_cells_lie_elsewhere_where_it_was_chosen_how_they_are_found_and_nothing_before_them(name: str) -> None:
    ours, theirs = (SlideKeys("default", "d" * 64, of_network(**chosen)) for chosen in ({}, {name: CHOSEN[name]}))
    for stage in ("cells", "vectors", "morphology"):
        assert getattr(ours, stage)(FIRST) != getattr(theirs, stage)(FIRST)
    assert ours.pixels(FIRST) == theirs.pixels(FIRST)


def test_cells_lie_where_they_lay_and_jobs_are_the_same_where_nothing_was_chosen() -> None:
    made = of_network()
    keys = SlideKeys("default", "d" * 64, made)
    expected = artifact_key(
        "default",
        "d" * 64,
        "cells",
        "parquet",
        inputs=[keys.pixels(FIRST), keys.tiles(FIRST)],
        params={"normalize": "slide", "dtype": "float32", "thread_count": 2},
        model=(made.segmenter, made.segmenter_revision),
    )
    assert keys.cells(FIRST) == expected
    assert not {*CHOSEN} - {"normalize"} & made.to_json().keys()


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"segmenter": "watershed", "flow_threshold": 0.4}, "watershed takes no notice of flow_threshold"),
        ({"segmenter": "instanseg", "augment": False}, "instanseg takes no notice of augment"),
        ({"diameter_um": 2.0}, r"at a working scale of 0.5 um per px it lies in 2.5 to 128"),
        ({"diameter_um": 200.0}, "a coarser one for larger ones"),
        ({"segmenter": "cellpose-unet", "channels": ["red"]}, "sees 2 channels, as a rule gray, none"),
    ],
)
def test_what_a_model_cannot_do_is_refused_and_not_left_out(choices: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        make_params(Choices(**choices), KNOWN_MPP, NETWORKS)


def test_a_diameter_that_was_asked_for_replaces_measuring() -> None:
    measuring = [replace(row, files=(("network", "a"), ("size", "b"))) for row in NETWORKS if row.family]
    made = [
        make_params(Choices(segmenter="cellpose-unet", diameter_um=size), KNOWN_MPP, [*REGISTRY, *measuring])
        for size in (None, 9.0)
    ]
    assert [params.measures_objects for params in made] == [True, False]


def test_a_plan_follows_what_selects_its_tiles() -> None:
    base = SlideKeys("default", "d" * 64, params())
    changes: list[dict[str, object]] = [
        {"include_geojson": "a"},
        {"exclude_geojson": "a"},
        {"sample_tile_count": 7},
        {"sample_tile_count": 7, "seed": 1},
        {"sample_tile_count": 7, "tile_gate": "paper"},
        {"origin_x_px": 7},
        {"origin_y_px": 7},
    ]
    plans = [SlideKeys("default", "d" * 64, params(**change)).plan for change in changes]
    assert len({base.plan, *plans}) == len(plans) + 1
    assert SlideKeys("default", "d" * 64, params(seed=1)).plan == base.plan, "nothing is drawn"


def test_a_second_cut_has_the_tiles_of_the_first_and_all_else_of_its_own() -> None:
    [again] = second_cuts([[], [4, 7], []])
    assert (again.number, again.index, again.regions, again.first_cut) == (3, 1, (4, 7), NEXT)
    base, wider, other = (
        SlideKeys("default", "d" * 64, params(**change))
        for change in ({}, {"second_halo_px": 600}, {"segmenter_revision": "other"})
    )
    assert base.tiles(again) == base.tiles(NEXT)
    for name in ("pixels", "cells", "vectors", "morphology"):
        assert getattr(base, name)(again) != getattr(base, name)(NEXT), name
        assert getattr(base, name)(again) != getattr(wider, name)(again), name
        assert getattr(base, name)(NEXT) == getattr(wider, name)(NEXT), name
    assert base.pixels(again) != other.pixels(again), "which regions are cut again depends on who looked"
    assert base.index([FIRST, NEXT]) != base.index([FIRST, NEXT, again])


def leaf_key(**changes: object) -> str:
    asked = params(**changes).clustering
    return clustering_keys("default", "d" * 64, ["a"], asked, ("morphology", "1")).leaf_key


@pytest.mark.parametrize("field", list(ClusterParams.DESCRIPTOR.fields), ids=lambda field: str(field.name))
def test_whatever_the_clusterer_is_told_is_part_of_its_keys(field: FieldDescriptor) -> None:
    words = {"algorithm": "umap-dbscan", "layout": "umap"}
    changed = {field.name: words.get(field.name) or (getattr(params(), field.name) or 0) + 1}
    assert getattr(params(**changed).clustering, field.name) == changed[field.name]
    assert leaf_key(**changed) != leaf_key()


def test_clusterings_lie_where_they_lay() -> None:
    chosen = {"leaf_count": 160, "neighbour_count": 8, "seed": 0}
    expected = artifact_key("default", "d" * 64, "leaf", "npy", inputs=["a"], params=chosen, model=("morphology", "1"))
    assert leaf_key() == expected


def test_pixels_belong_to_a_job_and_what_is_made_of_them_to_all() -> None:
    keys, shards = SlideKeys("default", "d" * 64, params()), (Shard(0, 0), Shard(1, 1), Shard(2, 0, (3,)))
    owned = {keys.own_pixels(job_id, shard) for job_id in ("one", "two") for shard in shards}
    assert len(owned) == 6
    assert all(key.startswith((f"default/{'d' * 64}/pixels/one-", f"default/{'d' * 64}/pixels/two-")) for key in owned)
    assert len({keys.cells(shard) for shard in shards}) == 3


def test_clusters_that_came_are_kept_for_the_cells_that_came_and_for_their_slide_alone() -> None:
    came = make_params(Choices(preset="imported"), KNOWN_MPP)
    assert (came.segmenter, came.algorithm, came.tile_gate, came.clustering.leaf_count) == ("imported",) * 2 + (
        "every",
        0,
    )
    anew = cohort_params([came, came])
    assert (anew.segmenter, anew.algorithm, anew.leaf_count) == ("imported", None, 160)
    with pytest.raises(InvalidArgument, match="finds anew"):
        make_params(Choices(preset="imported", segmenter="watershed"), KNOWN_MPP)
