"""Passes that compute only the tokens of patches that changed since a camera's last image.

An approximation, for cameras that stand: tokens that are not computed keep what they saw of the scene before. So all of
them are computed anew after so many passes, and whenever much has changed: a camera that moves gains nothing, and pays
for a comparison of small images, now and then.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from samlite_ros.segmenter.backend import Callback, Reuse
from samlite_ros.segmenter.pytorch.changed_patches import Exposure, cells_of, changed_patches, measure_exposure
from samlite_ros.segmenter.pytorch.decoder import ImageFeatures
from samlite_ros.segmenter.pytorch.image_encoder import ImageEncoder
from samlite_ros.segmenter.pytorch.kept_tokens import KeptTokens
from samlite_ros.segmenter.pytorch.preprocess import normalise

REFRESH_PASSES = 5
"""After so many passes all tokens are computed anew."""
MOST_CHANGED = 0.6
"""Where a larger share of the tokens changed, all are computed: what is left to save is not worth the error."""
MOST_UNTESTED = 3
"""A camera whose images keep changing as a whole is compared only every so many passes and one."""
_GAINS = (0.95, 1.05)
"""Flicker is taken out; the network itself answers a larger step of the exposure otherwise: all is computed anew."""


class CameraTokens:
    """What is kept of one camera.

    Args:
        cells: What each patch showed when it was computed last, in the light of the last whole pass.
    """

    def __init__(self, cells: NDArray[np.float32]) -> None:
        self.tokens = KeptTokens()
        self.cells = cells
        self.passes = 0
        self.changed_in_a_row = self.untested = 0


class TokenReuse:
    """Embeds images of several cameras.

    Args:
        encoder: The image encoder.
        dtype: Of its weights.
        most_bytes: Memory for what is kept; cameras for which there is none left are embedded as a whole.
    """

    def __init__(self, encoder: ImageEncoder, dtype: torch.dtype, most_bytes: int) -> None:
        self._encoder, self._dtype, self._most_bytes = encoder, dtype, most_bytes
        self._cameras: dict[str, CameraTokens] = {}
        self.last = Reuse()

    @property
    def kept_bytes(self) -> int:
        """Memory that is taken, over all cameras."""
        return sum(camera.tokens.size_bytes for camera in self._cameras.values())

    @property
    def in_words(self) -> str:
        """Of how many cameras tokens can be kept."""
        each = self._encoder.kept_bytes
        cameras = self._most_bytes // each
        if not cameras:
            return f"no tokens reused: one camera takes {each / 1e6:.0f} MB of reuse_memory"
        return f"tokens reused of {cameras} camera{'s' * (cameras > 1)} at most"

    def forget(self, camera: str) -> None:
        """Give back what is kept of a camera."""
        self._cameras.pop(camera, None)

    def forget_all(self) -> None:
        """Give back everything."""
        self._cameras.clear()

    def encode(self, camera: str, square: torch.Tensor, on_block: Callback) -> ImageFeatures:
        """Features of a camera's image.

        Args:
            camera: Its name.
            square: uint8 (1, 3, size, size) on the network's device.
            on_block: See `ImageEncoder.forward`.
        """
        kept = self._cameras.pop(camera, None)  # a pass that is given up leaves nothing behind
        if kept is None:
            return self._whole(camera, square, None, on_block)
        kept.passes += 1
        if kept.passes >= REFRESH_PASSES or kept.untested > 0:
            kept.untested -= kept.untested > 0
            return self._whole(camera, square, kept, on_block)
        cells = cells_of(square, self._encoder.side)
        light = measure_exposure(cells, kept.cells)
        seen = light.undo(cells)
        changed = changed_patches(seen, kept.cells, self._encoder.side)
        share = float(changed.mean())
        if share > MOST_CHANGED or not _is_flicker(light):
            kept.changed_in_a_row += 1
            kept.untested = min(2**kept.changed_in_a_row - 1, MOST_UNTESTED)
            return self._whole(camera, square, kept, on_block)
        kept.changed_in_a_row = 0
        return self._partial(camera, kept, in_light(square, light, self._dtype), changed, seen, on_block)

    def _partial(
        self,
        camera: str,
        kept: CameraTokens,
        pixels: torch.Tensor,
        changed: NDArray[np.bool_],
        seen: NDArray[np.float32],
        on_block: Callback,
    ) -> ImageFeatures:
        features = self._encoder.update(pixels, kept.tokens, torch.from_numpy(changed).flatten(), on_block)
        per = len(seen) // len(changed)
        kept.cells = np.where(changed.repeat(per, 0).repeat(per, 1)[..., None], seen, kept.cells)
        self._cameras[camera] = kept
        self.last = Reuse(float(changed.mean()), self.kept_bytes)
        return features

    def _whole(
        self, camera: str, square: torch.Tensor, before: CameraTokens | None, on_block: Callback
    ) -> ImageFeatures:
        """All tokens; they are kept where there is memory."""
        pixels = normalise(square, self._dtype)
        others = self.kept_bytes
        kept = CameraTokens(cells_of(square, self._encoder.side))
        if before is not None:
            kept.changed_in_a_row, kept.untested = before.changed_in_a_row, before.untested
            before.tokens = KeptTokens()  # not two of them at a time
        if others + self._encoder.kept_bytes > self._most_bytes:
            self.last = Reuse(1.0, others)
            return self._encoder(pixels, on_block)
        features: ImageFeatures = self._encoder(pixels, on_block, kept.tokens)
        self._cameras[camera] = kept
        self.last = Reuse(1.0, self.kept_bytes)
        return features


def in_light(square: torch.Tensor, light: Exposure, dtype: torch.dtype) -> torch.Tensor:
    """Pixels for the network as they would be in the light of the image before, so that all tokens are of one light."""
    gain, offset = (torch.from_numpy(part).to(square.device).view(1, 3, 1, 1) for part in (light.gain, light.offset))
    return normalise((square - offset) / gain, dtype)


def _is_flicker(light: Exposure) -> bool:
    return bool(np.all((light.gain >= _GAINS[0]) & (light.gain <= _GAINS[1])))
