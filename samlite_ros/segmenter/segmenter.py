"""The segmenter: a backend's passes behind the three calls of `samlite_ros.segmenter.contract.Segmenter`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from samlite_ros.errors import InferenceError
from samlite_ros.segmenter.backend import Backend, Callback, ImageFeatures, PromptFeatures
from samlite_ros.segmenter.contract import ImageEmbedding, PromptEmbedding
from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.segmenter.prompt_bank import PromptBank
from samlite_ros.segmenter.prompt_store import PromptStore
from samlite_ros.segmenter.selection import Selection, Wanted, select_instances
from samlite_ros.segmenter.sizes import bytes_of
from samlite_ros.types import DecodeOptions, Frame, Prompt, PromptResult

FEWEST_AT_ONCE, MOST_AT_ONCE = 4, 16
"""So many prompts are decoded at once where nobody says: a call of a small network's layers costs as much as a phrase
or two, and a large network gains nothing by more."""
BYTES_AT_ONCE = 1 << 24
"""More than the fewest only as far as the image's features, once for each prompt, do not exceed it."""


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
    """Finds prompts in images. Implements `samlite_ros.segmenter.contract.Segmenter`; used from one thread.

    Args:
        backend: The loaded network.
        options: How to run it.
    """

    def __init__(self, backend: Backend, options: SegmenterOptions) -> None:
        self.backend = backend
        self.options = options
        self.counts = SegmenterCounts()
        folder = options.text_bank_folder
        store = None if folder is None else PromptStore(folder, backend)
        self._bank = PromptBank(self._encode, options.text_bank_size, store)

    @property
    def model_id(self) -> str:
        """Names the weights."""
        return self.backend.model_id

    @property
    def computes(self) -> str:
        """How and where: the backend's."""
        return self.backend.computes

    @property
    def interruptible(self) -> bool:
        """Whether the callbacks are called: the backend's."""
        return self.backend.interruptible

    def embed_prompts(self, prompts: Sequence[Prompt]) -> PromptEmbedding:
        """Embed prompts; each is computed once and kept. See `samlite_ros.segmenter.contract.Segmenter`."""
        return PromptEmbedding(tuple(prompts), self.model_id, self._bank.get(prompts))

    def embed_image(self, frame: Frame, on_block: Callback | None = None) -> ImageEmbedding:
        """Embed one frame: one pass of the vision encoder. See `samlite_ros.segmenter.contract.Segmenter`.

        Raises:
            InferenceError: Memory ran out twice.
        """
        features = self._try_embed(frame, on_block)
        if features is None:
            features = self._try_embed(frame, on_block)
        if features is None:
            raise InferenceError(
                f"no memory on {self.backend.device} for one image at {self.backend.image_size} px:"
                " lower image_size, or free memory"
            )
        about = frame.stamp_ns, frame.camera, frame.size, self.model_id
        return ImageEmbedding(*about, features, self.backend.reuse, bytes_of(features))

    def forget(self, camera: str) -> None:
        """Give back what is kept of a camera between its images: the backend's."""
        self.backend.forget(camera)

    def segment(
        self,
        image: ImageEmbedding,
        prompts: PromptEmbedding,
        options: Sequence[DecodeOptions],
        on_step: Callback | None = None,
    ) -> list[PromptResult]:
        """Decode prompts over one image. See `samlite_ros.segmenter.contract.Segmenter`.

        Raises:
            ValueError: The embeddings are of different models, or options and prompts differ in number.
            InferenceError: Memory ran out even for one prompt, or the network's numbers are not finite.
        """
        self._check(image, prompts, options)
        results: list[PromptResult] = []
        batch, most = self.batch(image), self.backend.most_prompts
        while (done := len(results)) < len(prompts.prompts):
            size = next_batch(len(prompts.prompts) - done, batch, most)
            selection = self._try_decode(image, prompts, options, slice(done, done + size), on_step)
            if selection is None:
                batch = most = 1
                selection = self._try_decode(image, prompts, options, slice(done, done + 1), on_step)
            if selection is None:
                raise InferenceError(f"no memory on {self.backend.device} to decode one phrase: lower image_size")
            self.counts.non_finite += selection.dropped
            results += selection.results
        self.counts.prompts_decoded += len(results)
        return results

    def batch(self, image: ImageEmbedding) -> int:
        """How many prompts to decode at once over an image."""
        return self.options.decode_batch or max(FEWEST_AT_ONCE, min(MOST_AT_ONCE, BYTES_AT_ONCE // max(image.bytes, 1)))

    def _check(self, image: ImageEmbedding, prompts: PromptEmbedding, options: Sequence[DecodeOptions]) -> None:
        if len(options) != len(prompts.prompts):
            raise ValueError(f"{len(prompts.prompts)} phrases need as many options, got {len(options)}")
        if not image.model_id == prompts.model_id == self.model_id:
            raise ValueError(
                f"image of {image.model_id!r}, text of {prompts.model_id!r}, segmenter of {self.model_id!r}"
            )

    def _encode(self, prompts: Sequence[Prompt]) -> Sequence[PromptFeatures]:
        features = self.backend.encode_prompts(prompts)
        self.counts.prompts_encoded += len(prompts)
        return features

    def _try_embed(self, frame: Frame, on_block: Callback | None) -> ImageFeatures | None:
        """One pass; None = memory ran out, and was freed."""
        self.counts.image_passes += 1
        with suppress(self.backend.out_of_memory):
            return self.backend.encode_image(frame.image, on_block, frame.camera)
        self._free_memory()
        return None

    def _try_decode(
        self,
        image: ImageEmbedding,
        prompts: PromptEmbedding,
        options: Sequence[DecodeOptions],
        batch: slice,
        on_step: Callback | None,
    ) -> Selection | None:
        """One pass over some of the prompts; None = memory ran out, and was freed."""
        wanted = Wanted(prompts.prompts[batch], options[batch], image.size)
        with suppress(self.backend.out_of_memory):
            return select_instances(self.backend, image.features, prompts.features[batch], wanted, on_step)
        self._free_memory()
        return None

    def _free_memory(self) -> None:
        """Called when the handler has been left: until then the exception's traceback holds the arrays."""
        self.counts.memory_retries += 1
        self.backend.free_memory()


def next_batch(left: int, batch: int, most: int | None = None) -> int:
    """How many prompts to decode at once, so that no small batch remains, which costs nearly as much as a whole one.

    Args:
        left: Prompts that are not decoded yet.
        batch: How many to decode at once; up to half as many more where that spares a batch.
        most: How many can be decoded at once; None = any number.
    """
    batches = max(math.ceil(left / batch - 0.5), 1)
    if most is not None:
        batches = max(batches, math.ceil(left / most))
    return math.ceil(left / batches)
