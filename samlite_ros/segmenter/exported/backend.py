"""The passes of an exported network, whatever runs its graphs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from samlite_ros.segmenter.backend import Callback, Proposals, Reuse
from samlite_ros.segmenter.exported.manifest import TOKENIZER, Manifest
from samlite_ros.segmenter.exported.profiles import USUAL_TOKENS
from samlite_ros.segmenter.exported.runtime import DeviceMemoryError, Runtime, Value
from samlite_ros.segmenter.exported.square import to_square
from samlite_ros.segmenter.exported.tokenizer import PhraseTokenizer
from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.segmenter.upsample import resample
from samlite_ros.types import Prompt


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """Features of one prompt, in the host's memory: they are few.

    Args:
        features: (1, 32, C).
        mask: int64 (1, 32), 1 at tokens.
    """

    features: NDArray[Any]
    mask: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Rest:
    """What masks need of N prompts: features and mask on the host, the others on the device."""

    inputs: dict[str, Value] = field(repr=False)


class ExportedBackend:
    """Implements `samlite_ros.segmenter.backend.Backend`.

    Args:
        folder: Of the export.
        manifest: What is in it.
        runtime: Runs the graphs.
        options: The network's name, and whether the text encoder is kept.
    """

    interruptible = True
    out_of_memory = DeviceMemoryError
    reuse = Reuse()
    cut_masks = None
    resample = staticmethod(resample)

    def __init__(self, folder: Path, manifest: Manifest, runtime: Runtime, options: SegmenterOptions) -> None:
        self.model_id = options.model
        self.manifest = manifest
        self.most_prompts = manifest.max_prompts
        self.runtime = runtime
        self._keep_text_encoder = options.keep_text_encoder
        self._tokenize = PhraseTokenizer(folder / TOKENIZER, manifest.pad_token)
        self._mask_inputs = tuple(manifest.graph("masks").inputs)
        self._cuts_padding = manifest.graph("proposals").inputs["mask"].shape[1] == "l"  # older exports take all

    @property
    def device(self) -> str:
        return self.runtime.device

    @property
    def computes(self) -> str:
        return f"{self.device}, {self.manifest.precision}, {self.runtime.name}"

    @property
    def image_size(self) -> int:
        return self.manifest.image_size

    def forget(self, camera: str) -> None:
        """Nothing is kept."""

    def free_memory(self) -> None:
        self.runtime.free_memory()

    def encode_prompts(self, prompts: Sequence[Prompt]) -> list[TextFeatures]:
        ids, mask = self._tokenize([prompt.text for prompt in prompts])
        step = self.manifest.max_prompts
        found: list[TextFeatures] = []
        for start in range(0, len(ids), step):
            rows = slice(start, start + step)
            given = {"input_ids": ids[rows], "attention_mask": mask[rows]}
            features = self.runtime.run("text", given, ("features",))["features"]
            found += [
                TextFeatures(features[i : i + 1].copy(), given["attention_mask"][i : i + 1].copy())
                for i in range(len(features))
            ]
        if not self._keep_text_encoder:
            self.runtime.unload("text")
        return found

    def encode_image(
        self, image: NDArray[np.uint8], on_block: Callback | None = None, camera: str = ""
    ) -> dict[str, Value]:
        """`on_block` is called before each stage; nothing is kept of a camera."""
        values: dict[str, Value] = {"image": to_square(image, self.image_size)[None]}
        for stage in self.manifest.stages:
            if on_block is not None:
                on_block()
            outputs = self.runtime.run(stage, values, ())
            values = {name.removesuffix("_out"): value for name, value in outputs.items()}
        return values

    def propose(
        self, image: Mapping[str, Value], prompts: Sequence[TextFeatures], on_step: Callback | None = None
    ) -> Proposals:
        """One graph: `on_step` is not called."""
        text = self._text(prompts)
        given = {"attended": image["attended"], **text}
        found = self.runtime.run("proposals", given, ("scores", "presence", "boxes"))
        rest = _Rest({**text, "queries": found["queries"], "encoded": found["encoded"]})
        return Proposals(found["scores"], found["presence"], found["boxes"], rest)

    def _text(self, prompts: Sequence[TextFeatures]) -> dict[str, NDArray[Any]]:
        """Features (N, l, C) and mask (N, l), where l leaves out what is padding of all N.

        It is a multiple of the usual number: runtimes see few shapes, and ONNX Runtime's softmax over fewer is slower.
        """
        mask = np.concatenate([prompt.mask for prompt in prompts])
        used = 1 + int(np.flatnonzero(mask.any(0))[-1]) if self._cuts_padding else mask.shape[1]
        length = math.ceil(used / USUAL_TOKENS) * USUAL_TOKENS
        features = np.concatenate([prompt.features[:, :length] for prompt in prompts])
        return {"features": features, "mask": mask[:, :length]}

    def draw_masks(
        self,
        image: Mapping[str, Value],
        proposals: Proposals,
        kept: Sequence[NDArray[np.int64]],
        on_step: Callback | None = None,
    ) -> list[NDArray[np.float32]]:
        """`on_step` is called once, before."""
        rows = [row for row, chosen in enumerate(kept) if len(chosen)]
        if not rows:
            return [np.zeros((0, 1, 1), np.float32) for _ in kept]
        if on_step is not None:
            on_step()
        most = max(len(kept[row]) for row in rows)
        padded = np.zeros((len(rows), most), np.int64)  # (R, K)
        for place, row in enumerate(rows):
            padded[place, : len(kept[row])] = kept[row]
        values = {**image, **proposals.rest.inputs, "rows": np.array(rows, np.int64), "kept": padded}
        logits = self.runtime.run("masks", {name: values[name] for name in self._mask_inputs}, ("logits",))["logits"]
        out = [np.zeros((0, *logits.shape[2:]), np.float32) for _ in kept]
        for place, row in enumerate(rows):
            out[row] = logits[place, : len(kept[row])]
        return out

    def fingerprint(self) -> str:
        text = [*self.manifest.graph("text").files.values(), self.manifest.tokenizer_sha256]
        return hashlib.sha256("\n".join(text).encode()).hexdigest()[:32]

    def write_features(self, path: Path, features: TextFeatures, metadata: Mapping[str, str]) -> None:
        save_file({"features": features.features, "mask": features.mask}, path, dict(metadata))

    def read_features(self, path: Path) -> tuple[TextFeatures, Mapping[str, str]]:
        with safe_open(path, framework="np") as file:
            found = TextFeatures(file.get_tensor("features"), file.get_tensor("mask"))
            self._check(found)
            return found, file.metadata() or {}

    def _check(self, found: TextFeatures) -> None:
        """Raise ValueError where a file holds other features than the exported text encoder makes."""
        made = self.manifest.graph("text").outputs["features"]
        expected = (1, *(size for size in made.shape[1:] if isinstance(size, int)))
        if found.features.shape != expected or found.features.dtype != made.dtype:
            shape = found.features.shape
            raise ValueError(f"features are {found.features.dtype} {shape}, expected {made.dtype} {expected}")
        if found.mask.shape != expected[:2] or not np.isin(found.mask, (0, 1)).all():
            raise ValueError(f"mask is {found.mask.dtype} {found.mask.shape}, expected 0 and 1, {expected[:2]}")
        if not np.isfinite(found.features).all():
            raise ValueError("features are not finite")
