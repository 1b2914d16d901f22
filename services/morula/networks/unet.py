"""The residual U-Net of Cellpose 1 to 3: pixels -> flows, cell probability and a style vector.

Read from top to bottom. Module names are the keys of released state dicts, so their files load as they are. Every
convolution is pre-activated (norm, ReLU, convolution); skips are added, not concatenated; the style, a unit vector
that says what kind of image this is, is added in every block on the way up.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from morula.networks.unet_shape import UNetConfig


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.05)


def convolution(inward: int, outward: int, size: int = 3) -> nn.Sequential:
    return nn.Sequential(norm(inward), nn.ReLU(), nn.Conv2d(inward, outward, size, padding=size // 2))


def projection(inward: int, outward: int) -> nn.Sequential:
    return nn.Sequential(norm(inward), nn.Conv2d(inward, outward, 1))


class Down(nn.Module):
    """Two residual pairs of convolutions."""

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__()
        self.proj = projection(inward, outward)
        widths = (inward, outward, outward, outward)
        self.conv = named("conv", [convolution(width, outward) for width in widths])

    def forward(self, x: Tensor) -> Tensor:  # (B, inward, H, W) -> (B, outward, H, W)
        x = self.proj(x) + self.conv[1](self.conv[0](x))
        output: Tensor = x + self.conv[3](self.conv[2](x))
        return output


class Styled(nn.Module):
    """A convolution of what the style has been added to."""

    def __init__(self, inward: int, outward: int, style_width: int) -> None:
        super().__init__()
        self.conv = convolution(inward, outward)
        self.full = nn.Linear(style_width, outward)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        output: Tensor = self.conv(x + self.full(style)[:, :, None, None])
        return output


class Up(nn.Module):
    """As Down, with the skip added once and the style three times."""

    def __init__(self, inward: int, outward: int, style_width: int) -> None:
        super().__init__()
        self.proj = projection(inward, outward)
        styled = [Styled(outward, outward, style_width) for _ in range(3)]
        self.conv = named("conv", [convolution(inward, outward), *styled])

    def forward(self, x: Tensor, skip: Tensor, style: Tensor) -> Tensor:
        x = self.proj(x) + self.conv[1](self.conv[0](x) + skip, style)
        output: Tensor = x + self.conv[3](self.conv[2](x, style), style)
        return output


class UNet(nn.Module):
    """Levels down, levels up, one output; `widths` says how many and how wide."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        inward = (config.channel_count, *config.widths[:-1])
        upward = (*config.widths[1:], config.widths[-1])
        style_width = config.widths[-1]
        self.downs = tuple(Down(inner, width) for inner, width in zip(inward, config.widths, strict=True))
        self.ups = tuple(Up(outer, width, style_width) for outer, width in zip(upward, config.widths, strict=True))
        self.downsample, self.upsample = nn.Module(), nn.Module()
        self.downsample.down = named("res_down", self.downs)
        self.upsample.up = named("res_up", self.ups)
        self.output = convolution(config.widths[0], config.output_count, 1)
        self.diam_mean = nn.Parameter(torch.full((1,), 30.0), requires_grad=False)
        self.diam_labels = nn.Parameter(torch.full((1,), 30.0), requires_grad=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, channels, H, W), H and W multiples of 8 -> (B, 3, H, W) dy, dx, cell probability; (B, style)."""
        maps, style, _ = self.see(x)
        return maps, style

    def see(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`, and (B, width, H, W): the features of which the last convolution makes its answer."""
        skips: list[Tensor] = []
        for n, down in enumerate(self.downs):
            x = down(x if n == 0 else functional.max_pool2d(x, 2))
            skips.append(x)
        style = functional.normalize(x.mean(dim=(2, 3)), dim=1, eps=0.0)
        for n in reversed(range(len(skips))):
            if n < len(skips) - 1:
                x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = self.ups[n](x, skips[n], style)
        return self.output(x), style, x


def named(name: str, modules: Sequence[nn.Module]) -> nn.Sequential:
    """Modules in a row under the names that released files know."""
    return nn.Sequential(OrderedDict((f"{name}_{n}", module) for n, module in enumerate(modules)))
