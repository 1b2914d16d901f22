"""umap-learn, whose loops are kept on disk: to compile them takes longer than to lay out thousands of cells."""

from __future__ import annotations

import warnings

from morula.common.compiled import keep

with warnings.catch_warnings():
    # It warns that it has no TensorFlow.
    warnings.simplefilter("ignore")
    from umap import UMAP, layouts, umap_, utils

for module in (layouts, umap_, utils):
    keep(module)

__all__ = ["UMAP"]
