"""Names that clusters inherit."""

from morula.common.cluster_names import inherit_names


def test_a_finer_cluster_inherits_the_nearest_name_above() -> None:
    parents = {1: None, 2: 1, 3: 1, 4: 2, 5: 2}
    assert inherit_names({1: 7, 2: 8}, [3, 4, 5], parents) == {3: 7, 4: 8, 5: 8}


def test_a_coarser_cluster_takes_no_name_from_below() -> None:
    assert inherit_names({4: 8}, [1], {1: None, 2: 1, 4: 2}) == {}
