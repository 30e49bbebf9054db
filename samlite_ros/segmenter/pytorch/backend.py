"""SAM3-LiteText computed with torch: a checkpoint behind the calls of `samlite_ros.segmenter.backend.Backend`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file

from samlite_ros.segmenter.backend import CONTEXT_TOKENS, Callback, CutMasks, Proposals, Reuse, go_on
from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.segmenter.pytorch.checkpoint import Checkpoint, load_checkpoint, set_threads
from samlite_ros.segmenter.pytorch.decoder import ImageFeatures, TextFeatures, join
from samlite_ros.segmenter.pytorch.image_encoder import ImageEncoder
from samlite_ros.segmenter.pytorch.mask_bits import cut_masks
from samlite_ros.segmenter.pytorch.preprocess import normalise, to_square
from samlite_ros.segmenter.pytorch.resample import resample
from samlite_ros.segmenter.pytorch.shared_decode import SharedDecoder, SharedImage
from samlite_ros.segmenter.pytorch.text_encoder import TextEncoder
from samlite_ros.segmenter.pytorch.token_reuse import TokenReuse
from samlite_ros.types import Mask, Prompt

MOST_SHARED = 4
"""What prompts share is kept of so many images: those before are looked at again by few."""


class TorchBackend:
    """Implements `samlite_ros.segmenter.backend.Backend`.

    Args:
        checkpoint: The loaded network.
        keep_text_encoder: See `SegmenterOptions`.
        reuse_bytes: Memory for tokens of the images before; None = they are not used.
    """

    interruptible = True
    most_prompts = None
    out_of_memory = torch.cuda.OutOfMemoryError
    resample = staticmethod(resample)

    def __init__(self, checkpoint: Checkpoint, keep_text_encoder: bool = True, reuse_bytes: int | None = None) -> None:
        self.checkpoint = checkpoint
        self.image_encoder = ImageEncoder(checkpoint.model.vision_encoder)
        self._tokens: TokenReuse | None = None
        if reuse_bytes is not None:
            self._tokens = TokenReuse(self.image_encoder, checkpoint.dtype, reuse_bytes)
        self._decoder = SharedDecoder(checkpoint.model)
        self._shared: WeakKeyDictionary[ImageFeatures, SharedImage] = WeakKeyDictionary()  # lives as long as its image
        self.cut_masks: CutMasks | None = None if checkpoint.device.type == "cpu" else self.cut_on_device
        self._encoder = TextEncoder(checkpoint, keep_text_encoder)

    @classmethod
    def load(cls, options: SegmenterOptions) -> TorchBackend:
        """Load what the options name.

        Raises:
            ModelLoadError: It cannot be loaded.
        """
        checkpoint = load_checkpoint(options)
        set_threads(options.threads, checkpoint)
        torch.set_float32_matmul_precision(checkpoint.precision.matmul)
        reuse_bytes = options.reuse_memory_mb * 10**6 if options.reuse_tokens else None
        return cls(checkpoint, options.keep_text_encoder, reuse_bytes)

    @property
    def model_id(self) -> str:
        return self.checkpoint.model_id

    @property
    def device(self) -> str:
        return str(self.checkpoint.device)

    @property
    def computes(self) -> str:
        computes = self.checkpoint.computes
        return computes if self._tokens is None else f"{computes}; {self._tokens.in_words}"

    @property
    def image_size(self) -> int:
        return self.checkpoint.image_size

    @property
    def reuse(self) -> Reuse:
        return Reuse() if self._tokens is None else self._tokens.last

    def forget(self, camera: str) -> None:
        if self._tokens is not None:
            self._tokens.forget(camera)

    def free_memory(self) -> None:
        if self._tokens is not None:
            self._tokens.forget_all()
        torch.cuda.empty_cache()

    @torch.inference_mode()
    def encode_prompts(self, prompts: Sequence[Prompt]) -> list[TextFeatures]:
        return self._encoder.encode(prompts)

    @torch.inference_mode()
    def encode_image(
        self, image: NDArray[np.uint8], on_block: Callback | None = None, camera: str = ""
    ) -> ImageFeatures:
        """`on_block` is called before each block of the ViT and each scale of the neck."""
        network = self.checkpoint
        square = to_square(image, network.image_size, network.device)
        if self._tokens is not None:
            return self._tokens.encode(camera, square, on_block or go_on)
        features: ImageFeatures = self.image_encoder(normalise(square, network.dtype), on_block or go_on)
        return features

    @torch.inference_mode()
    def propose(
        self, image: ImageFeatures, prompts: Sequence[TextFeatures], on_step: Callback | None = None
    ) -> Proposals:
        """`on_step` is called before each layer but the first, and within the encoder's."""
        found = self._decoder.propose(self._share(image), join(prompts), on_step or go_on)
        parts = (found.scores, found.presence[:, None], found.boxes_xyxy.flatten(1))
        told = torch.cat(parts, 1).cpu().numpy()  # the device is waited for once
        scores, presence, boxes = np.split(told, (parts[0].shape[1], parts[0].shape[1] + 1), 1)
        return Proposals(scores, presence[:, 0], boxes.reshape(found.boxes_xyxy.shape), found)

    @torch.inference_mode()
    def draw_masks(
        self,
        image: ImageFeatures,
        proposals: Proposals,
        kept: Sequence[NDArray[np.int64]],
        on_step: Callback | None = None,
    ) -> list[NDArray[np.float32]]:
        """`on_step` is called before the pixel decoder and each of its convolutions."""
        if not any(map(len, kept)):
            return [np.zeros((0, 1, 1), np.float32) for _ in kept]
        host = self._draw(image, proposals, kept, on_step).cpu().float()  # once, in the model's dtype
        return [masks.numpy() for masks in host.split([len(chosen) for chosen in kept])]

    @torch.inference_mode()
    def cut_on_device(
        self,
        image: ImageFeatures,
        proposals: Proposals,
        kept: Sequence[NDArray[np.int64]],
        levels: Sequence[int],
        size: tuple[int, int],
        on_step: Callback | None = None,
    ) -> list[tuple[Mask, ...]]:
        """See `samlite_ros.segmenter.backend.CutMasks`; not worth it where the device is the host."""
        if not any(map(len, kept)):
            return [() for _ in kept]
        each = [level for level, chosen in zip(levels, kept, strict=True) for _ in chosen]
        masks = iter(cut_masks(self._draw(image, proposals, kept, on_step), each, size))
        return [tuple(islice(masks, len(chosen))) for chosen in kept]

    def fingerprint(self) -> str:
        return self._encoder.fingerprint()

    def write_features(self, path: Path, features: TextFeatures, metadata: Mapping[str, str]) -> None:
        save_file({"features": features.features.cpu(), "mask": features.mask.cpu()}, path, dict(metadata))

    def read_features(self, path: Path) -> tuple[TextFeatures, Mapping[str, str]]:
        with safe_open(path, framework="pt") as file:
            features, mask = (file.get_tensor(name) for name in ("features", "mask"))
            self._check_features(features, mask)
            device = self.checkpoint.device
            return TextFeatures(features.to(device), mask.to(device)), file.metadata() or {}

    def _check_features(self, features: torch.Tensor, mask: torch.Tensor) -> None:
        """Raise ValueError where a file holds other features than this network makes."""
        expected = (1, CONTEXT_TOKENS, self.checkpoint.model.text_projection.out_features)
        if tuple(features.shape) != expected or features.dtype != self.checkpoint.dtype:
            found = f"{features.dtype} {tuple(features.shape)}"
            raise ValueError(f"features are {found}, expected {self.checkpoint.dtype} {expected}")
        if tuple(mask.shape) != expected[:2] or not torch.isin(mask, torch.tensor([0, 1])).all():
            raise ValueError(f"mask is {mask.dtype} {tuple(mask.shape)}, expected 0 and 1, {expected[:2]}")
        if not torch.isfinite(features).all():
            raise ValueError("features are not finite")

    def _draw(
        self,
        image: ImageFeatures,
        proposals: Proposals,
        kept: Sequence[NDArray[np.int64]],
        on_step: Callback | None,
    ) -> torch.Tensor:
        """(K, h, w), those of all prompts, on the device in the model's dtype."""
        chosen = [torch.from_numpy(indices).to(self.checkpoint.device) for indices in kept]
        return torch.cat(self._decoder.masks(self._share(image), proposals.rest, chosen, on_step or go_on))

    def _share(self, image: ImageFeatures) -> SharedImage:
        """What all prompts share of one image, computed when the first of them is decoded."""
        shared = self._shared.get(image)
        if shared is None:
            while len(self._shared) >= MOST_SHARED:
                del self._shared[next(iter(self._shared.keys()))]
            shared = self._shared[image] = self._decoder.prepare(image)
        return shared
