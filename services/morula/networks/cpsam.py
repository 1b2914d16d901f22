"""The Cellpose-SAM network, at the speed of fused attention.

The definition is the published one (package `cellpose`, BSD-3); only attention is ours. Its bias is the sum of two
inner products of the query with rows of two small tables, one by the vertical, one by the horizontal distance. So it
folds exactly into the inner product of query and key: the query is extended by its products with the tables, the key
by one-hot rows that pick them. What is left is plain attention, for which every device has a fused kernel that never
writes the (tokens x tokens) matrix.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class FusedAttention(nn.Module):
    """Takes the place of an encoder block's attention, with its weights."""

    distance_rows: Tensor
    pick: Tensor

    def __init__(self, published: Any, side: int) -> None:
        super().__init__()
        self.head_count: int = published.num_heads
        self.qkv, self.proj = published.qkv, published.proj
        self.scale: float = published.scale
        self.side = side
        dtype = published.qkv.weight.dtype
        tables = [distance_table(table.detach().float(), side) for table in (published.rel_pos_h, published.rel_pos_w)]
        self.register_buffer("distance_rows", torch.stack(tables).to(dtype), persistent=False)  # (2, side, side, C)
        place = torch.arange(side * side, device=published.qkv.weight.device)
        pick = torch.cat([functional.one_hot(place // side, side), functional.one_hot(place % side, side)], dim=1)
        self.register_buffer("pick", pick.to(dtype), persistent=False)  # (side^2, 2 side)

    def forward(self, x: Tensor) -> Tensor:  # (B, side, side, D) -> the same
        batch, side, width = x.shape[0], self.side, x.shape[-1]
        qkv = self.qkv(x).reshape(batch, side * side, 3, self.head_count, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)  # (B, heads, tokens, C)
        at = q.reshape(batch, self.head_count, side, side, -1)
        down = torch.einsum("bnhwc,hkc->bnhwk", at, self.distance_rows[0]).flatten(2, 3)
        across = torch.einsum("bnhwc,wkc->bnhwk", at, self.distance_rows[1]).flatten(2, 3)
        q = torch.cat([q * self.scale, down, across], dim=-1)
        k = torch.cat([k, self.pick.expand(batch, self.head_count, -1, -1)], dim=-1)
        output: Tensor = self.proj(attend(q, k, v).transpose(1, 2).reshape(batch, side, side, width))
        return output


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k') v, by the kernel that is fastest for where and what the numbers are."""
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        return (q @ k.transpose(-1, -2)).softmax(dim=-1) @ v  # measured: 1.6 times as fast as the fused kernel there
    # Fused kernels want values as wide as keys.
    wide = functional.pad(v, (0, q.shape[-1] - v.shape[-1]))
    return functional.scaled_dot_product_attention(q, k, wide, scale=1.0)[..., : v.shape[-1]]


def distance_table(table: Tensor, side: int) -> Tensor:
    """Rows (side, side, C) of a table by the distance from query to key, resampled to 2 side - 1 distances."""
    if table.shape[0] != 2 * side - 1:
        table = functional.interpolate(table.T[None], size=2 * side - 1, mode="linear")[0].T
    place = torch.arange(side, device=table.device)
    return table[place[:, None] - place[None, :] + side - 1]


def fuse(network: Any, crop_px: int) -> nn.Module:
    """Replaces the attention of every block, once its weights are loaded."""
    for block in network.encoder.blocks:
        block.attn = FusedAttention(block.attn, crop_px // network.ps)
    fused: nn.Module = network.eval()
    return fused
