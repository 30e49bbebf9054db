"""The segmenter: a SAM3-LiteText checkpoint behind the three calls of `samlite_ros.types.Segmenter`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch

from samlite_ros.errors import InferenceError
from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.segmenter.pytorch.checkpoint import Checkpoint, load_checkpoint, set_threads
from samlite_ros.segmenter.pytorch.decoder import ImageFeatures, cut, image_features
from samlite_ros.segmenter.pytorch.preprocess import to_pixel_values
from samlite_ros.segmenter.pytorch.selection import Selection, Wanted, select_instances
from samlite_ros.segmenter.pytorch.shared_decode import SharedDecoder, SharedImage, go_on
from samlite_ros.segmenter.pytorch.text_bank import TextBank
from samlite_ros.segmenter.pytorch.text_encoder import TextEncoder
from samlite_ros.segmenter.pytorch.text_store import TextStore
from samlite_ros.types import DecodeOptions, Frame, ImageEmbedding, Prompt, PromptEmbedding, PromptResult


@dataclass
class SegmenterCounts:
    """What the network did since it was loaded.

    Args:
        image_passes: Passes of the vision encoder.
        prompts_encoded: Prompts through the text encoder.
        prompts_decoded: Prompts decoded, over all images.
        non_finite: Queries dropped because their numbers were not finite.
        memory_retries: Passes repeated because memory had run out.
    """

    image_passes: int = 0
    prompts_encoded: int = 0
    prompts_decoded: int = 0
    non_finite: int = 0
    memory_retries: int = 0


class Sam3LiteTextSegmenter:
    """Finds prompts in images. Implements `samlite_ros.types.Segmenter`; used from one thread.

    Args:
        checkpoint: The loaded network.
        options: How to run it.
    """

    interruptible = True

    def __init__(self, checkpoint: Checkpoint, options: SegmenterOptions) -> None:
        self.checkpoint = checkpoint
        self.options = options
        self._counts = SegmenterCounts()
        self._decoder = SharedDecoder(checkpoint.model)
        self._shared: WeakKeyDictionary[ImageFeatures, SharedImage] = WeakKeyDictionary()  # lives as long as its image
        self._encoder = TextEncoder(checkpoint, options.keep_text_encoder)
        store = None
        if options.text_bank_folder is not None:
            store = TextStore(options.text_bank_folder, self._encoder.fingerprint(), checkpoint.device)
        self._bank = TextBank(self._encoder.encode, options.text_bank_size, store)
        self._encoder.release()

    @classmethod
    def load(cls, options: SegmenterOptions) -> Sam3LiteTextSegmenter:
        """Load what the options name.

        Raises:
            ModelLoadError: It cannot be loaded.
        """
        checkpoint = load_checkpoint(options)
        set_threads(options.threads, checkpoint)
        return cls(checkpoint, options)

    @property
    def model_id(self) -> str:
        """Names the weights."""
        return self.checkpoint.model_id

    @property
    def counts(self) -> SegmenterCounts:
        """What the network did so far."""
        self._counts.prompts_encoded = self._encoder.prompts_encoded
        return self._counts

    @torch.inference_mode()
    def embed_prompts(self, prompts: Sequence[Prompt]) -> PromptEmbedding:
        """Embed prompts; each is computed once and kept. See `samlite_ros.types.Segmenter`."""
        return PromptEmbedding(tuple(prompts), self.model_id, self._bank.get(prompts))

    @torch.inference_mode()
    def embed_image(self, frame: Frame, on_block: Callable[[], None] | None = None) -> ImageEmbedding:
        """Embed one frame: one pass of the vision encoder. See `samlite_ros.types.Segmenter`.

        `on_block` is called before each block of the ViT and each scale of the neck.

        Raises:
            InferenceError: Memory ran out twice.
        """
        features = self._try_embed(frame, on_block) or self._try_embed(frame, on_block)
        if features is None:
            raise InferenceError(
                f"no memory on {self.checkpoint.device} for one image at {self.checkpoint.image_size} px:"
                " lower image_size, or free memory"
            )
        return ImageEmbedding(frame.stamp_ns, frame.camera, frame.size, self.model_id, features)

    @torch.inference_mode()
    def segment(
        self,
        image: ImageEmbedding,
        prompts: PromptEmbedding,
        options: Sequence[DecodeOptions],
        on_step: Callable[[], None] | None = None,
    ) -> list[PromptResult]:
        """Decode prompts over one image. See `samlite_ros.types.Segmenter`.

        `on_step` is called before each layer but the first, before the pixel decoder and each of its convolutions.

        Raises:
            ValueError: The embeddings are of different models, or options and prompts differ in number.
            InferenceError: Memory ran out even for one prompt, or the network's numbers are not finite.
        """
        self._check(image, prompts, options)
        results: list[PromptResult] = []
        batch = self.options.decode_batch
        while (done := len(results)) < len(prompts.prompts):
            selection = self._try_decode(image, prompts, options, done, batch, on_step)
            if selection is None:
                batch = 1
                selection = self._try_decode(image, prompts, options, done, batch, on_step)
            if selection is None:
                raise InferenceError(f"no memory on {self.checkpoint.device} to decode one phrase: lower image_size")
            self._counts.non_finite += selection.dropped
            results += selection.results
        self._counts.prompts_decoded += len(results)
        return results

    def _check(self, image: ImageEmbedding, prompts: PromptEmbedding, options: Sequence[DecodeOptions]) -> None:
        if len(options) != len(prompts.prompts):
            raise ValueError(f"{len(prompts.prompts)} phrases need as many options, got {len(options)}")
        if not image.model_id == prompts.model_id == self.model_id:
            raise ValueError(
                f"image of {image.model_id!r}, text of {prompts.model_id!r}, segmenter of {self.model_id!r}"
            )

    def _try_embed(self, frame: Frame, on_block: Callable[[], None] | None) -> ImageFeatures | None:
        """One pass; None = memory ran out, and was freed."""
        network = self.checkpoint
        self._counts.image_passes += 1
        with suppress(torch.cuda.OutOfMemoryError):
            pixels = to_pixel_values(frame.image, network.image_size, network.device, network.dtype)
            with _call_before_blocks(network, on_block):
                return image_features(network.model.vision_encoder(pixels))
        self._free_memory()
        return None

    def _try_decode(
        self,
        image: ImageEmbedding,
        prompts: PromptEmbedding,
        options: Sequence[DecodeOptions],
        start: int,
        count: int,
        on_step: Callable[[], None] | None,
    ) -> Selection | None:
        """One pass over some of the prompts; None = memory ran out, and was freed."""
        stop = start + count
        wanted = Wanted(prompts.prompts[start:stop], options[start:stop], image.size)
        with suppress(torch.cuda.OutOfMemoryError):
            features = cut(prompts.features, start, count)
            return select_instances(self._decoder, self._share(image.features), features, wanted, on_step or go_on)
        self._free_memory()
        return None

    def _share(self, image: ImageFeatures) -> SharedImage:
        """What all prompts share of one image, computed when the first of them is decoded."""
        shared = self._shared.get(image)
        if shared is None:
            shared = self._shared[image] = self._decoder.prepare(image)
        return shared

    def _free_memory(self) -> None:
        """Called when the handler has been left: until then the exception's traceback holds the tensors."""
        self._counts.memory_retries += 1
        torch.cuda.empty_cache()


@contextmanager
def _call_before_blocks(network: Checkpoint, on_block: Callable[[], None] | None) -> Iterator[None]:
    """Call back before each block of the ViT and each scale of the neck."""
    if on_block is None:
        yield
        return
    encoder = network.model.vision_encoder
    parts = (*encoder.backbone.layers, *encoder.neck.fpn_layers)
    hooks = [part.register_forward_pre_hook(lambda *_: on_block()) for part in parts]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
