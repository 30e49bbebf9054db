"""The refiner: a small U-Net at half the window's cells; what it gives is added to the carried shape's log-odds."""

from __future__ import annotations

from torch import Tensor, nn

from samlite_ros.streaming.carry.planes import PLANES

WIDTH = 16


def _block(before: int, after: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


class RefinerNet(nn.Module):
    """planes (B, PLANES, n, n) to log-odds to add (B, 1, n, n); n is a multiple of 16."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(_block(PLANES, w, 2), _block(w, w))
        self.down1 = nn.Sequential(_block(w, 2 * w, 2), _block(2 * w, 2 * w))
        self.down2 = nn.Sequential(_block(2 * w, 4 * w, 2), _block(4 * w, 4 * w))
        self.down3 = nn.Sequential(_block(4 * w, 4 * w, 2), _block(4 * w, 4 * w))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.lift3, self.merge3 = _block(4 * w, 4 * w, kernel=1), _block(4 * w, 4 * w)
        self.lift2, self.merge2 = _block(4 * w, 2 * w, kernel=1), _block(2 * w, 2 * w)
        self.lift1, self.merge1 = _block(2 * w, w, kernel=1), _block(w, w)
        self.head = nn.ConvTranspose2d(w, 1, 4, 2, 1)
        if self.head.bias is not None:
            nn.init.zeros_(self.head.bias)
        self.head.weight.data *= 0.1

    def forward(self, planes: Tensor) -> Tensor:
        a = self.stem(planes)
        b = self.down1(a)
        c = self.down2(b)
        c = self.merge3(c + self.up(self.lift3(self.down3(c))))
        b = self.merge2(b + self.up(self.lift2(c)))
        a = self.merge1(a + self.up(self.lift1(b)))
        delta: Tensor = self.head(a)
        return delta
