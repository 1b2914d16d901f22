"""One of Morula's programs as it is, but with one tile to a shard, so that a small slide has many shards."""

from __future__ import annotations

import os
import runpy
from dataclasses import replace

from morula.common import models


def main() -> None:
    models.REGISTRY = tuple(replace(spec, shard_tile_count=1) for spec in models.REGISTRY)
    runpy.run_module(os.environ["CHAOS_MODULE"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
