"""A small network that describes single cells: a crop and the cell's own mask -> a vector.

Read from top to bottom. It sees red, green, blue and which pixels are the cell's; its vector is the mean of the last
features over the crop, and once more under the mask alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from morula.networks.cell_net_graph import CHANNELS


class Stage(nn.Module):
    """Half the size, and a residual pair of convolutions."""

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(inward, outward, 3, stride=2, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(outward) for _ in range(3))
        self.pair = nn.ModuleList(nn.Conv2d(outward, outward, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:  # (B, inward, H, W) -> (B, outward, H / 2, W / 2)
        x = functional.relu(self.norms[0](self.down(x)))
        y = functional.relu(self.norms[1](self.pair[0](x)))
        return functional.relu(x + self.norms[2](self.pair[1](y)))


class CellNet(nn.Module):
    """Stages of growing width, and a linear layer to the vector."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128, 192), dimension_count: int = 96) -> None:
        super().__init__()
        inward = (CHANNELS, *widths[:-1])
        self.stages = nn.ModuleList(Stage(*pair) for pair in zip(inward, widths, strict=True))
        self.vector = nn.Linear(2 * widths[-1], dimension_count)

    def forward(self, crops: Tensor) -> Tensor:
        """(B, 4, H, W): three colours, and 1 where the cell is -> (B, dimensions)."""
        x = crops
        for stage in self.stages:
            x = stage(x)
        mask = functional.adaptive_avg_pool2d(crops[:, 3:], (x.shape[2], x.shape[3]))
        under = (x * mask).sum(dim=(2, 3)) / mask.sum(dim=(2, 3)).clamp_min(1e-3)
        vector: Tensor = self.vector(torch.cat([x.mean(dim=(2, 3)), under], dim=1))
        return vector
