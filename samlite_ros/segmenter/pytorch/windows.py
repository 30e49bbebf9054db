"""Which tokens of a square grid stand in which attention window: tables that depend on sizes alone.

The grid is cut into windows from its first corner; where its side is no multiple of theirs, those at two edges are
incomplete. Tokens are kept window by window, windows of one shape after the other, so that the tokens of all windows
of a shape are one slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch


@dataclass(frozen=True, eq=False)
class WindowGroup:
    """Windows of one shape.

    Args:
        tokens: Where their tokens stand, in window order.
        count: Number of windows, B.
        size: Tokens of a window that are there, m.
        keys: int64 (B * w * w,), of each place of each window the token that stands there, or n + p for the padding at
            place `WindowLayout.padding[p]`; None where the windows are whole.
    """

    tokens: slice
    count: int
    size: int
    keys: torch.Tensor | None


@dataclass(frozen=True, eq=False)
class Window:
    """One window.

    Args:
        tokens: Where its tokens stand, in window order.
        keys: int64 (w * w,), of each of its places a token of its own, or m + p for the padding at place
            `WindowLayout.padding[p]`; None where it is whole.
    """

    tokens: slice
    keys: torch.Tensor | None


@dataclass(frozen=True, eq=False)
class WindowLayout:
    """The windows of one grid of n tokens.

    Args:
        order: int64 (n,), of each token in window order its place in the grid, row by row.
        inverse: int64 (n,), of each token of the grid its place in window order.
        places: int64 (n,), of each token in window order its place in its window, row by row.
        padding: int64 (p,), the places of a window that are missing in some window.
        groups: One per shape.
    """

    order: torch.Tensor
    inverse: torch.Tensor
    places: torch.Tensor
    padding: torch.Tensor
    groups: tuple[WindowGroup, ...]

    @cached_property
    def windows(self) -> tuple[Window, ...]:
        """Each on its own, in the order of their tokens."""
        found: list[Window] = []
        for group in self.groups:
            keys = None if group.keys is None else group.keys[: len(group.keys) // group.count]
            if keys is not None:
                pads = keys >= len(self.order)
                keys = torch.where(pads, keys - len(self.order) + group.size, keys - group.tokens.start)
            starts = range(group.tokens.start, group.tokens.stop, group.size)
            found += [Window(slice(start, start + group.size), keys) for start in starts]
        return tuple(found)


def lay_out(side: int, window: int, device: torch.device) -> WindowLayout:
    """Tables for a grid of side x side tokens and windows of window x window.

    Args:
        side: Of the grid [tokens].
        window: Side of a window [tokens].
        device: Of the tables.
    """
    grid = torch.arange(side * side).view(side, side)
    place = torch.arange(window * window).view(window, window)
    blocks = list(_blocks(grid, window))
    order = torch.cat([block.flatten() for block in blocks])
    inverse = torch.argsort(order)
    places = torch.cat([place[: b.shape[0], : b.shape[1]].flatten() for b in blocks])
    rest = side % window
    whole = torch.zeros(window, window, dtype=torch.bool)
    whole[: rest or window, : rest or window] = True
    padding = place[~whole]
    shapes = dict.fromkeys(block.shape for block in blocks)
    groups = tuple(_group(shape, blocks, inverse, place, padding, device) for shape in shapes)
    tables = (order.to(device), inverse.to(device), places.to(device), padding.to(device))
    return WindowLayout(*tables, groups)


def _blocks(grid: torch.Tensor, window: int) -> Iterator[torch.Tensor]:
    """The grid's windows, those of one shape one after the other."""
    found = [block for rows in grid.split(window) for block in rows.split(window, dim=1)]
    for shape in dict.fromkeys(block.shape for block in found):
        yield from (block for block in found if block.shape == shape)


def _group(
    shape: torch.Size,
    blocks: list[torch.Tensor],
    inverse: torch.Tensor,
    place: torch.Tensor,
    padding: torch.Tensor,
    device: torch.device,
) -> WindowGroup:
    mine = torch.stack([inverse[block] for block in blocks if block.shape == shape])  # (B, rows, columns)
    start, count = int(mine.min()), len(mine)
    tokens = slice(start, start + mine.numel())
    if shape == place.shape:
        return WindowGroup(tokens, count, mine[0].numel(), None)
    number = torch.zeros(place.numel(), dtype=torch.int64)
    number[padding] = torch.arange(len(padding)) + len(inverse)
    keys = number.view(place.shape).repeat(count, 1, 1)
    keys[:, : shape[0], : shape[1]] = mine
    return WindowGroup(tokens, count, mine[0].numel(), keys.flatten().to(device))
