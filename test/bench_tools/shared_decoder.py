"""What the shared decoder saves per phrase against the reference's, and that its numbers are the reference's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from samlite_ros.bench.figures import Figure, derived, figure
from samlite_ros.bench.options import BenchOptions
from samlite_ros.bench.timing import interleave
from samlite_ros.bench.workload import camera_frame, prompts, segmenter_options, waiting_for
from samlite_ros.segmenter.pytorch import load_backend
from samlite_ros.segmenter.pytorch.backend import TorchBackend
from samlite_ros.segmenter.pytorch.decoder import decode, image_features
from samlite_ros.segmenter.pytorch.preprocess import to_pixel_values
from samlite_ros.segmenter.pytorch.shared_decode import ProposalTensors, SharedDecoder, SharedImage


class DecodeSides:
    """Both decoders over one image and the same phrases, one phrase at a time.

    Args:
        backend: The network.
        count: Number of phrases.
        kept: Masks kept per phrase.
    """

    def __init__(self, backend: TorchBackend, count: int, kept: int) -> None:
        network = backend.checkpoint
        self._model = network.model
        self._decoder = SharedDecoder(self._model)
        self._texts = backend.encode_prompts(prompts(count))
        self.finish = waiting_for(network.device)
        self._kept = torch.arange(kept, device=network.device)
        with torch.inference_mode():
            pixels = to_pixel_values(camera_frame().image, network.image_size, network.device, network.dtype)
            self._image = image_features(self._model.vision_encoder(pixels))
        self._shared: SharedImage | None = None
        self._proposals: list[ProposalTensors] = []

    def sides(self) -> dict[str, Callable[[], object]]:
        """The reference; the shared decoder's steps, in the order in which they run."""
        return {
            "reference": self._reference,
            "once per image": self._prepare,
            "scores and boxes": self._propose,
            "first masks": self._draw,
            "masks": self._draw,
        }

    @torch.inference_mode()
    def largest_difference(self) -> tuple[float, float]:
        """Of scores, and of the kept masks' logits relative to the largest logit."""
        self._prepare(), self._propose()
        scores = masks = 0.0
        for text, proposals in zip(self._texts, self._proposals, strict=True):
            wanted = decode(self._model, self._image, text)
            logits = wanted.mask_logits[0, self._kept].float()
            found = self._masks(proposals)[0].float()
            scores = max(scores, float((proposals.scores - wanted.scores).abs().max()))
            masks = max(masks, float((found - logits).abs().max() / logits.abs().max()))
        return scores, masks

    @torch.inference_mode()
    def _reference(self) -> None:
        for text in self._texts:
            decode(self._model, self._image, text)

    @torch.inference_mode()
    def _prepare(self) -> None:
        self._shared = self._decoder.prepare(self._image)

    @torch.inference_mode()
    def _propose(self) -> None:
        self._proposals = [self._decoder.propose(self._prepared(), text) for text in self._texts]

    @torch.inference_mode()
    def _draw(self) -> None:
        for proposals in self._proposals:
            self._masks(proposals)

    def _masks(self, proposals: ProposalTensors) -> list[torch.Tensor]:
        return self._decoder.masks(self._prepared(), proposals, [self._kept])

    def _prepared(self) -> SharedImage:
        if self._shared is None:
            self._shared = self._decoder.prepare(self._image)
        return self._shared


def run(options: BenchOptions, on_step: Callable[[str], object]) -> list[Figure]:
    """Measure every network of the options, with the largest of its numbers of phrases up to 8."""
    figures: list[Figure] = []
    count = max((c for c in options.phrase_counts if c <= 8), default=8)
    for model in options.models:
        on_step(f"{model}: decode of {count} phrases")
        sides = DecodeSides(load_backend(segmenter_options(model, options)), count, options.kept)
        samples = interleave(sides.sides(), options.rounds_of(model), finish=sides.finish)
        by_side = {side: [s.wall_s if sides.finish else s.cpu_s for s in values] for side, values in samples.items()}
        figures += figures_of_decode(f"{model}, {count} phrases", count, by_side)
        scores, masks = sides.largest_difference()
        figures += [
            derived(f"decode/{model}, {count} phrases/difference of scores", "", scores),
            derived(f"decode/{model}, {count} phrases/difference of masks", "", masks),
        ]
    return figures


def figures_of_decode(row: str, count: int, samples: Mapping[str, Sequence[float]]) -> list[Figure]:
    """Time per phrase, what is done once per image shared out among the phrases.

    Args:
        row: Row of the table.
        count: Number of phrases.
        samples: As `DecodeSides.sides` names them, for all phrases together [s].
    """
    names = ("reference", "once per image", "scores and boxes", "first masks", "masks")
    rounds = list(zip(*(samples[n] for n in names), strict=True))
    kept = [(once + propose + first) / count for _, once, propose, first, _ in rounds]
    nothing = [(once + propose) / count for _, once, propose, _, _ in rounds]
    reference = [r[0] / count for r in rounds]
    name = f"decode/{row}"
    return [
        figure(f"{name}/reference", "s", reference),
        figure(f"{name}/shared", "s", kept),
        figure(f"{name}/shared, nothing kept", "s", nothing),
        figure(f"{name}/saved", "%", [100 * (1 - k / r) for k, r in zip(kept, reference, strict=True)]),
        figure(
            f"{name}/saved, nothing kept", "%", [100 * (1 - k / r) for k, r in zip(nothing, reference, strict=True)]
        ),
        figure(f"{name}/once per image", "s", [r[1] + r[3] - r[4] for r in rounds]),
    ]
