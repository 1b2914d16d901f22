"""What a report calls its numbers, and what each says."""

from __future__ import annotations

MEASURES: dict[str, tuple[str, str]] = {
    "macro_f1": (
        "macro-F1",
        "clusters named on one part and scored on the rest; every class counts as much as another",
    ),
    "accuracy": ("accuracy", "the share of cells that get the right class, named and scored so"),
    "rare_recall": ("rare classes found", "mean recall of classes below 5 % of the cells, else of the rarest"),
    "area_macro_f1": ("macro-F1, mean over clicks", "a click names a cluster, the largest first"),
    "area_accuracy": ("accuracy, mean over clicks", "the same of accuracy"),
    "macro_f1_of_the_way": ("macro-F1, of the way", "share of the way from the constant to the ceiling"),
    "accuracy_of_the_way": ("accuracy, of the way", "the same of accuracy"),
    "area_macro_f1_of_the_way": ("mean macro-F1, of the way", "the same of the mean over clicks"),
    "area_accuracy_of_the_way": ("mean accuracy, of the way", "the same of accuracy"),
    "many_to_one": (
        "many to one, by slide",
        "each cluster named by its own cells in each slide: too kind to many clusters",
    ),
    "slide_hungarian": ("one to one, by slide", "each class gets one cluster in each slide: too hard on many clusters"),
    "purity": ("purity", "each cluster named by its own cells: rises with the number of clusters"),
    "ami": ("AMI", "what clusters tell of classes beyond chance"),
    "ari": ("ARI", "pairs of cells that lie together in both, beyond chance"),
    "homogeneity": ("homogeneity", "whether clusters hold one class each: singles have 1"),
    "completeness": ("completeness", "whether classes lie in one cluster each: a constant has 1"),
    "v_measure": ("V", "harmonic mean of the two"),
}
BASELINES = {
    "constant": "one cluster for all",
    "random": "as many clusters at random",
    "singles": "as many single cells labelled",
    "morphology": "as many clusters of measures alone",
}
NOISE = {"as_error": "wrong", "own_cluster": "a cluster of their own", "left_out": "left out"}
