"""The refiner: a small U-Net; what it gives is added to the carried shape's log-odds.

Large maps are dear: at half the window's cells there are few channels and one layer each way.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from samlite_ros.streaming.carry.planes import PLANES

WIDTHS = (16, 32, 64, 96)


def _block(before: int, after: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


class RefinerNet(nn.Module):
    """planes (B, PLANES, n, n) to log-odds to add (B, 1, n, n); n is a multiple of 2 ** levels.

    Args:
        widths: Channels of each level, finest first; every level has half the cells a side of what is before it.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        first, pairs = widths[0], list(pairwise(widths))
        self.stem = _block(PLANES, first, 2)
        self.downs = nn.ModuleList(self._down(a, b, deep=i > 0) for i, (a, b) in enumerate(pairs))
        self.lifts = nn.ModuleList(_block(b, a, kernel=1) for a, b in pairs)
        self.merges = nn.ModuleList(_block(a, a) for a, _ in pairs)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.head = nn.ConvTranspose2d(first, 1, 4, 2, 1)
        if self.head.bias is not None:
            nn.init.zeros_(self.head.bias)
        self.head.weight.data *= 0.1

    @staticmethod
    def _down(before: int, after: int, deep: bool) -> nn.Sequential:
        first = _block(before, after, 2)
        return nn.Sequential(first, _block(after, after)) if deep else nn.Sequential(first)

    def forward(self, planes: Tensor) -> Tensor:
        maps = [self.stem(planes)]
        for down in self.downs:
            maps.append(down(maps[-1]))
        merged = maps.pop()
        for finer, lift, merge in zip(reversed(maps), reversed(self.lifts), reversed(self.merges), strict=True):
            merged = merge(finer + self.up(lift(merged)))
        delta: Tensor = self.head(merged)
        return delta
