"""How far masks in half precision are from those of the same weights in float32, at the camera's resolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from samlite_ros.bench.figures import Figure, derived
from samlite_ros.bench.options import BenchOptions
from samlite_ros.bench.workload import camera_frame, prompts, segmenter_options
from samlite_ros.pixels.masks import mask_iou
from samlite_ros.segmenter import SegmenterOptions
from samlite_ros.segmenter.pytorch import load_backend
from samlite_ros.segmenter.pytorch.backend import TorchBackend
from samlite_ros.segmenter.pytorch.decoder import join
from samlite_ros.segmenter.pytorch.resample import resample
from samlite_ros.segmenter.pytorch.shared_decode import SharedDecoder
from samlite_ros.segmenter.upsample import upsample_mask
from samlite_ros.types import Frame, Mask

SCORE_THRESHOLD = 0.5
"""What the node publishes by default."""
_SCENES, _PHRASES = 20, 16


class DrawnMask(NamedTuple):
    """One mask.

    Args:
        phrase: Index of the phrase.
        query: Which of the network's queries it is.
        score: Of the query, 0 to 1.
        mask: At the camera's resolution.
    """

    phrase: int
    query: int
    score: float
    mask: Mask


def run(options: BenchOptions, on_step: Callable[[str], object]) -> list[Figure]:
    """Measure every network of the options; on a CPU the demo network only.

    A full-size pass in float32 takes half a minute there, and its masks are those of random weights.
    """
    figures: list[Figure] = []
    for model in options.models:
        settings = segmenter_options(model, options)
        if model == "demo" or _on_gpu(settings):
            half = settings.dtype if settings.dtype == "float16" else "bfloat16"
            exact, rough = (load_backend(replace(settings, dtype=dtype)) for dtype in ("float32", half))
            kept = options.kept if settings.model.startswith("random:") else None  # random scores say nothing
            figures += measure_parity(f"{model}, {half}", exact, rough, kept, on_step)
    return figures


def _on_gpu(settings: SegmenterOptions) -> bool:
    return settings.device.startswith("cuda") or (settings.device == "auto" and torch.cuda.is_available())


def measure_parity(
    row: str,
    exact: TorchBackend,
    rough: TorchBackend,
    kept: int | None,
    on_step: Callable[[str], object],
    scenes: int = _SCENES,
) -> list[Figure]:
    """Overlap of masks, and difference of scores, of the queries that the exact network keeps.

    Args:
        row: Row of the table.
        exact: In float32.
        rough: The same weights, in half precision.
        kept: Masks of each phrase, the best; None = those above the threshold.
        on_step: Told what runs next.
        scenes: Number of images.
    """
    pairs: list[tuple[DrawnMask, DrawnMask]] = []
    for seed in range(scenes):
        on_step(f"{row}: parity, image {seed + 1} of {scenes}")
        frame = camera_frame(seed=seed)
        wanted = drawn_masks(exact, frame, kept)
        pairs += zip(wanted, drawn_masks(rough, frame, kept, wanted), strict=True)
    overlaps = [mask_iou(a.mask, b.mask) for a, b in pairs if a.mask.area or b.mask.area]
    if not overlaps:
        return []
    shifts = [abs(a.score - b.score) for a, b in pairs]
    numbers = {
        "mean IoU": float(np.mean(overlaps)),
        "least IoU": min(overlaps),
        "mean difference of scores": float(np.mean(shifts)),
        "largest difference of scores": max(shifts),
        "masks": float(len(overlaps)),
    }
    return [derived(f"parity/{row}/{name}", "", value) for name, value in numbers.items()]


@torch.inference_mode()
def drawn_masks(
    backend: TorchBackend, frame: Frame, kept: int | None, like: Sequence[DrawnMask] | None = None
) -> list[DrawnMask]:
    """Masks of one image for all phrases.

    Args:
        backend: The network.
        frame: The image.
        kept: The best so many of each phrase; None = those above the threshold.
        like: Draw these queries instead.
    """
    decoder = SharedDecoder(backend.checkpoint.model)
    shared = decoder.prepare(backend.encode_image(frame.image))
    proposals = decoder.propose(shared, join(backend.encode_prompts(prompts(_PHRASES))))
    scores = proposals.scores
    if like is not None:
        chosen = [[m.query for m in like if m.phrase == row] for row in range(len(scores))]
    elif kept is not None:
        chosen = scores.topk(kept).indices.tolist()
    else:
        chosen = [(row >= SCORE_THRESHOLD).nonzero()[:, 0].tolist() for row in scores]
    indices = [torch.tensor(queries, dtype=torch.long, device=scores.device) for queries in chosen]
    logits = decoder.masks(shared, proposals, indices)
    cells = [masks.float().cpu().numpy() for masks in logits]
    return [
        DrawnMask(row, query, float(scores[row, query]), upsample_mask(cells[row][place], frame.size, resample))
        for row, queries in enumerate(chosen)
        for place, query in enumerate(queries)
    ]
