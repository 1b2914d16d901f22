"""Writes the files beside it: what Cellpose 3 makes of a small random network. `make oracles` runs it.

The stock pipeline takes a style of 256 numbers for granted, so the narrow network's is filled up with zeros on the way.
"""

from pathlib import Path

import cv2
import numpy as np
import torch
from cellpose.models import CellposeModel, SizeModel
from cellpose.resnet_torch import CPnet
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent
STYLE_WIDTH = 32
FULL_STYLE_WIDTH = 256


class Filled(nn.Module):
    """The network, with as long a style as the stock pipeline expects."""

    def __init__(self, network: CPnet) -> None:
        super().__init__()
        self.network = network
        self.nout, self.device, self.mkldnn = network.nout, torch.device("cpu"), False

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        outputs, style = self.network(x)[:2]
        return outputs, nn.functional.pad(style, (0, FULL_STYLE_WIDTH - style.shape[1]))


def narrow_network() -> CPnet:
    """Random weights that keep the size of what passes through, and statistics as of a trained network."""
    torch.manual_seed(0)
    network = CPnet([2, 4, 8, 16, STYLE_WIDTH], 3, 3, diam_mean=17.0).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
    return network


def image() -> np.ndarray:
    """Discs on a ground that is not even."""
    random = np.random.default_rng(1)
    pixels = random.normal(200, 6, (180, 260, 3)) - np.linspace(0, 40, 260)[:, None]
    for x, y, radius in zip(
        random.uniform(0, 260, 60), random.uniform(0, 180, 60), random.uniform(5, 10, 60), strict=True
    ):
        cv2.circle(pixels, (int(x), int(y)), int(radius), random.uniform(40, 120, 3).tolist(), -1)
    return pixels.clip(0, 255).astype(np.uint8)


def main() -> None:
    torch.set_num_threads(1)
    network, pixels = narrow_network(), image()
    network.save_model(str(HERE / "unet_narrow.pth"))
    crops = torch.randn(2, 2, 64, 96, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        outputs, style = network(crops)[:2]

    model = CellposeModel(gpu=False, diam_mean=17.0)
    model.net, model.diam_mean, model.diam_labels, model.pretrained_model = Filled(network), 17.0, 17.0, "narrow"
    found = {}
    for name, options in {"plain": {}, "small": {"diameter": 25.0}, "augmented": {"augment": True}}.items():
        _, (_, flow, probability), styles = model.eval(pixels, channels=[0, 0], compute_masks=False, **options)
        found |= {f"{name}_flow": flow, f"{name}_probability": probability, f"{name}_style": styles[:STYLE_WIDTH]}

    random = np.random.default_rng(3)
    slope, mean = random.normal(0, 0.5, (2, STYLE_WIDTH)).astype(np.float32)
    size = SizeModel(model)
    size.params = {"A": slope, "smean": mean, "ymean": 0.1}
    found["diameter_px"] = size._size_estimation(found["plain_style"])
    numbers = {"A": slope, "smean": mean, "ymean": np.float32(0.1), "diam_mean": np.float32(17)}
    save_file({name: torch.tensor(value) for name, value in numbers.items()}, HERE / "size_narrow.safetensors")
    network_alone = {"crops": crops.numpy(), "outputs": outputs.numpy(), "style": style.numpy()}
    np.savez_compressed(HERE / "unet_narrow.npz", pixels=pixels, **network_alone, **found)


if __name__ == "__main__":
    main()
