"""Cellpose's objective: targets give the objects back, also of images that were turned, and colour weights see gray."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from morula.evaluator.shapes import match, overlap
from morula.networks.unet import UNet
from morula.networks.unet_shape import UNetConfig
from morula.segmenter.dynamics import DynamicsParams, find_instances
from morula.training.augment import Augmentation, view
from morula.training.flow_targets import flows_of, whole_objects
from morula.training.objectives.flows import hold_norms, in_colour

SIDE_PX = 128


def discs(side_px: int = SIDE_PX) -> NDArray[np.int32]:
    """Discs of several sizes, two of which touch."""
    y, x = np.mgrid[:side_px, :side_px]
    labels = np.zeros((side_px, side_px), np.int32)
    for n, (cy, cx, ry, rx) in enumerate([(30, 30, 9, 9), (30, 49, 9, 9), (90, 40, 6, 14), (70, 95, 12, 8)], 1):
        labels[((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1] = n
    return labels


def test_flows_lead_back_to_the_objects() -> None:
    labels = discs()
    flow = flows_of(labels)
    assert np.allclose(np.hypot(*flow)[labels > 0], 1, atol=1e-5) or (np.hypot(*flow)[labels > 0] > 0.99).mean() > 0.99
    assert not flow[:, labels == 0].any()
    found = find_instances(5 * flow, np.where(labels > 0, 5, -5).astype(np.float32), DynamicsParams())
    counts = match(overlap(labels, found), 0.9)
    assert (counts.matched, counts.missed, counts.wrong) == (4, 0, 0)


def test_an_object_in_two_pieces_becomes_two_and_crumbs_go() -> None:
    labels = np.zeros((32, 32), np.int32)
    labels[2:8, 2:8] = labels[20:28, 20:28] = 7
    labels[30, 30] = 9
    assert np.array_equal(np.unique(whole_objects(labels)), [0, 1, 2])


def test_views_turn_what_is_drawn_with_the_image() -> None:
    labels = discs()
    flows = np.round(np.moveaxis(flows_of(labels), 0, -1) * 127).astype(np.int8)
    pixels = np.repeat((labels > 0).astype(np.uint8)[..., None] * 200 + 20, 3, axis=2)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        seen = view(pixels, labels, flows, pixels.reshape(-1, 3), 96, Augmentation(scale=(0.8, 1.3)), rng)
        expected = flows_of(whole_objects(seen.inside.astype(np.int32)))
        both = (seen.inside > 0) & (np.hypot(*expected) > 0)
        # The touching pair is one object here, what was drawn knows two; a wrong turn would give no mean at all.
        assert np.mean((seen.flow * expected).sum(axis=0)[both]) > 0.6
        assert np.isfinite(seen.planes).all()
        assert seen.planes.shape == (3, 96, 96)


def test_the_same_generator_gives_the_same_view() -> None:
    labels = discs()
    flows = np.zeros((*labels.shape, 2), np.int8)
    pixels = np.random.default_rng(0).integers(0, 255, (*labels.shape, 3)).astype(np.uint8)
    one, other = (
        view(pixels, labels, flows, pixels.reshape(-1, 3), 64, Augmentation(), np.random.default_rng(3)) for _ in "ab"
    )
    assert np.array_equal(one.planes, other.planes)
    assert np.array_equal(one.inside, other.inside)


def test_weights_of_gray_see_a_gray_image_as_before() -> None:
    torch.manual_seed(0)
    of_gray = UNet(UNetConfig(2, (4, 8))).eval()
    first = of_gray.downs[0]
    for norm in (first.proj[0], first.conv[0][0]):
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.data.uniform_(0.2, 1.0)
    in_rgb = UNet(UNetConfig(3, (4, 8))).eval()
    in_rgb.load_state_dict(in_colour(of_gray.state_dict()))
    image = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        before, _ = of_gray(torch.cat([image, torch.zeros(1, 1, 64, 64)], dim=1))
        now, _ = in_rgb(image.expand(1, 3, 64, 64))
    assert float((before - now)[..., 20:44, 20:44].abs().max()) < 0.02 * float(before.abs().max())


def test_norms_that_are_held_keep_what_they_start_with() -> None:
    network = UNet(UNetConfig(3, (4, 8))).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items() if "running" in name}
    hold_norms(network)
    network(torch.rand(2, 3, 16, 16))[0].sum().backward()
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())
    weight = network.downs[0].proj[0].weight
    assert weight.grad is not None
