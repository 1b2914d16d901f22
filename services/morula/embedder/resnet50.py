"""ResNet-50 as an embedder: an operator's file, by the names of torchvision's."""

from __future__ import annotations

from morula.embedder.network_embedder import load

__all__ = ["load"]
