"""What clusters are measured on and by."""

from pathlib import Path

import numpy as np

from morula.bench.cluster_growth import _measured
from morula.bench.clusterer import agreement
from morula.bench.simulated_vectors import COLUMNS, simulated, write_simulated


def test_the_table_on_disk_is_the_one_in_memory(tmp_path: Path) -> None:
    rows, kind = simulated(300, 0)
    write_simulated(300, 0, tmp_path / "v.npy")
    assert np.array_equal(np.load(tmp_path / "v.npy"), rows)
    assert rows.shape == (300, COLUMNS)
    assert np.abs(np.linalg.norm(rows.astype(float), axis=1) - 1).max() < 1e-2
    assert 0.05 < (kind < 0).mean() < 0.15


def test_agreement_forgives_more_clusters_in_names_but_not_in_pairs() -> None:
    kind = np.repeat([0, 1], 50)
    assert agreement(kind + 7, kind) == (1.0, 1.0)
    finer, named = agreement(np.arange(100) // 10, kind)
    assert (finer < 0.5, named) == (True, 1.0)
    assert agreement(np.zeros(100, np.int64), kind) == (0.0, 0.3333)


def test_a_size_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    measured = _measured(1600, tmp_path)
    assert measured["cut_s"] < measured["wall_s"]
    assert 0.1 < measured["peak_gb"] < 2
    assert not list(tmp_path.iterdir())
