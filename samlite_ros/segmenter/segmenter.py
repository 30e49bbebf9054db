"""The segmenter: a SAM3-LiteText checkpoint behind the three calls of `samlite_ros.types.Segmenter`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from samlite_ros.errors import PhraseTooLongError
from samlite_ros.segmenter.checkpoint import Checkpoint, load_checkpoint
from samlite_ros.segmenter.decoder import RawDecoding, TextFeatures, batches, decode, image_features
from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.segmenter.preprocess import to_pixel_values
from samlite_ros.segmenter.text_bank import CONTEXT_TOKENS, TextBank
from samlite_ros.segmenter.upsample import upsample_mask
from samlite_ros.types import DecodeOptions, Frame, ImageEmbedding, PhraseResult, TextEmbedding


class Sam3LiteTextSegmenter:
    """Finds phrases in images. Implements `samlite_ros.types.Segmenter`; used from one thread.

    Args:
        checkpoint: The loaded network.
        options: How to run it.
    """

    def __init__(self, checkpoint: Checkpoint, options: SegmenterOptions) -> None:
        self.checkpoint = checkpoint
        self.options = options
        self._bank = TextBank(self._encode_text, options.text_bank_size)

    @classmethod
    def load(cls, options: SegmenterOptions) -> Sam3LiteTextSegmenter:
        """Load what the options name.

        Raises:
            ModelLoadError: It cannot be loaded.
        """
        return cls(load_checkpoint(options), options)

    @property
    def model_id(self) -> str:
        """Names the weights."""
        return self.checkpoint.model_id

    @torch.inference_mode()
    def embed_text(self, phrases: Sequence[str]) -> TextEmbedding:
        """Embed phrases; each is computed once and kept. See `samlite_ros.types.Segmenter`."""
        return TextEmbedding(tuple(phrases), self.model_id, self._bank.get(phrases))

    @torch.inference_mode()
    def embed_image(self, frame: Frame, on_block: Callable[[], None] | None = None) -> ImageEmbedding:
        """Embed one frame: one pass of the vision encoder. See `samlite_ros.types.Segmenter`."""
        network = self.checkpoint
        pixels = to_pixel_values(frame.image, network.image_size, network.device, network.dtype)
        with _call_before_blocks(network, on_block):
            output = network.model.vision_encoder(pixels)
        return ImageEmbedding(frame.stamp_ns, frame.camera, frame.size, self.model_id, image_features(output))

    @torch.inference_mode()
    def segment(
        self, image: ImageEmbedding, text: TextEmbedding, options: Sequence[DecodeOptions]
    ) -> list[PhraseResult]:
        """Decode phrases over one image. See `samlite_ros.types.Segmenter`."""
        if len(options) != len(text.phrases):
            raise ValueError(f"{len(text.phrases)} phrases need as many options, got {len(options)}")
        if not image.model_id == text.model_id == self.model_id:
            raise ValueError(f"image of {image.model_id!r}, text of {text.model_id!r}, segmenter of {self.model_id!r}")
        results: list[PhraseResult] = []
        for batch in batches(text.features, self.options.decode_batch):
            raw = decode(self.checkpoint.model, image.features, batch)
            for row in range(len(batch.features)):
                place = len(results)
                results.append(_phrase_result(raw, row, text.phrases[place], options[place], image.size))
        return results

    def _encode_text(self, phrases: Sequence[str]) -> TextFeatures:
        """Run the text encoder; N phrases, each padded to the context's length."""
        network = self.checkpoint
        rows = [self._tokenize(phrase) for phrase in phrases]
        ids = torch.tensor([r[0] for r in rows], device=network.device)  # (N, 32)
        mask = torch.tensor([r[1] for r in rows], device=network.device)
        output = network.model.get_text_features(input_ids=ids, attention_mask=mask, return_dict=True)
        return TextFeatures(output.pooler_output, mask)

    def _tokenize(self, phrase: str) -> tuple[list[int], list[int]]:
        row = self.checkpoint.tokenizer(phrase, padding="max_length", max_length=CONTEXT_TOKENS, verbose=False)
        if len(row.input_ids) > CONTEXT_TOKENS:
            raise PhraseTooLongError(phrase, len(row.input_ids), CONTEXT_TOKENS)
        return row.input_ids, row.attention_mask


@contextmanager
def _call_before_blocks(network: Checkpoint, on_block: Callable[[], None] | None) -> Iterator[None]:
    """Call back before each block of the ViT and before the neck."""
    if on_block is None:
        yield
        return
    encoder = network.model.vision_encoder
    hooks = [m.register_forward_pre_hook(lambda *_: on_block()) for m in (*encoder.backbone.layers, encoder.neck)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _phrase_result(
    raw: RawDecoding, row: int, phrase: str, options: DecodeOptions, size: tuple[int, int]
) -> PhraseResult:
    scores = raw.scores[row].cpu().numpy()
    order = np.argsort(-scores, kind="stable")
    keep = order[scores[order] >= options.score_threshold][: options.max_instances]
    chosen = torch.from_numpy(keep).to(raw.mask_logits.device)
    logits = raw.mask_logits[row, chosen].float().cpu().numpy()
    boxes = _to_pixels(raw.boxes_xyxy[row, chosen].cpu().numpy(), size)
    masks = tuple(upsample_mask(mask, size) for mask in logits)
    return PhraseResult(phrase, float(raw.presence[row]), scores[keep], boxes, masks)


def _to_pixels(boxes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(N, 4) of 0 .. 1 to pixels, clipped to the image."""
    scale = np.array([size[1], size[0], size[1], size[0]], np.float32)
    return np.clip(boxes, 0, 1) * scale
