"""`morula bench quality`: what clusters and labels that spread are worth, on cells whose classes people gave."""

from morula.bench.quality.stage import run

__all__ = ["run"]
