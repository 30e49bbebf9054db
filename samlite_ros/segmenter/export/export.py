"""Export a checkpoint, graph by graph; a run that was interrupted goes on where it was."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from samlite_ros import __version__
from samlite_ros.errors import ExportError, SamliteError
from samlite_ros.foreign.files import make_folder
from samlite_ros.foreign.json_file import read_json
from samlite_ros.foreign.limits import CHECKPOINT_JSON_BYTES
from samlite_ros.foreign.words import reason
from samlite_ros.segmenter.export import LIBRARIES, parity, precision
from samlite_ros.segmenter.export.int8 import Calibration, in_int8
from samlite_ros.segmenter.export.operators import OPSET
from samlite_ros.segmenter.export.options import ExportOptions
from samlite_ros.segmenter.export.parts import all_parts
from samlite_ros.segmenter.export.write import write_graph
from samlite_ros.segmenter.exported.backend import ExportedBackend
from samlite_ros.segmenter.exported.manifest import (
    MANIFEST,
    TOKENIZER,
    UNFINISHED,
    Graph,
    Manifest,
    is_export,
    sha256_of,
    to_graph,
    write_manifest,
)
from samlite_ros.segmenter.exported.source import checkpoint_digest
from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.segmenter.pytorch.backend import TorchBackend
from samlite_ros.segmenter.pytorch.checkpoint import Checkpoint
from samlite_ros.types import Prompt

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "int8": torch.float32}
_VERSIONS = ("torch", "transformers", *LIBRARIES)
_BASE_GB = 1.0
"""Of the libraries."""
_SOURCES = ("export", "pytorch")
"""What makes the graphs and what passes between them: those that two versions of it make are no network."""


def load_checkpoint(options: ExportOptions) -> TorchBackend:
    """The checkpoint as it is exported: in float32, on the CPU.

    Raises:
        ModelLoadError: It cannot be loaded.
    """
    chosen = SegmenterOptions(options.model, device="cpu", dtype="float32", image_size=options.image_size)
    return TorchBackend.load(chosen)


def memory_gb(checkpoint: Checkpoint) -> float:
    """About as much memory as exporting takes [GB]; full size at 504 px with parity: 7.3 measured, 2.1 of weights."""
    weights = sum(parameter.numel() * 4 for parameter in checkpoint.model.parameters())
    return 3 * weights / 1e9 + _BASE_GB


class Exporter:
    """Exports one checkpoint into one folder.

    Args:
        backend: The checkpoint; it cannot be used afterwards.
        folder: Where; made.
        options: How.
        tell: Is told what is done next.
        calibration: Of int8, which needs one.
    """

    def __init__(
        self,
        backend: TorchBackend,
        folder: Path,
        options: ExportOptions,
        tell: Callable[[str], object],
        calibration: Calibration | None = None,
    ) -> None:
        if (options.precision == "int8") != (calibration is not None):
            raise ExportError("int8 is calibrated on frames, and nothing else is")
        self._backend: TorchBackend | None = backend
        self._folder, self._options, self._tell = folder, options, tell
        self._calibration = calibration
        self._reference: parity.Reference | None = None

    def ask(self, frames: Sequence[NDArray[np.uint8]], prompts: Sequence[Prompt]) -> None:
        """Have the checkpoint answer, so that parity can be measured; `max_prompts` prompts."""
        self._tell(f"torch answers {len(prompts)} phrases over {len(frames)} frames, to compare with")
        self._reference = parity.Reference(self._checkpoint(), frames, prompts)

    def export(self) -> Manifest:
        """Write graphs, tokenizer and manifest.

        Raises:
            ExportError: A graph cannot be exported, or does not compute what the checkpoint does; int8 does not find
                what float32 finds, or the folder cannot be written.
        """
        try:
            return self._export()
        except OSError as error:
            raise ExportError(_unwritten(self._folder, error)) from error

    def _export(self) -> Manifest:
        folder = self._folder
        make_folder(folder)
        was_there = is_export(folder)
        (folder / MANIFEST).unlink(missing_ok=True)  # until all of it is there and agrees
        manifest = self._describe()
        manifest = replace(manifest, graphs=tuple(self._graphs(manifest)))
        if self._reference is not None:
            manifest = replace(manifest, parity=self._measure(manifest, self._reference))
        if self._calibration is not None:
            try:
                manifest = in_int8(folder, manifest, self._calibration, self._tell)
            except ExportError:
                if was_there:  # else the float32 graphs are kept for another try
                    _finish(folder, replace(manifest, precision="fp32"))
                raise
        _finish(folder, manifest)
        return manifest

    def _checkpoint(self) -> TorchBackend:
        if self._backend is None:
            raise ExportError("the checkpoint was exported already: load it again")
        return self._backend

    def _describe(self) -> Manifest:
        """All but the graphs; writes the tokenizer."""
        checkpoint = self._checkpoint().checkpoint
        tokenizer = checkpoint.tokenizer.backend_tokenizer.to_str(pretty=True)
        (self._folder / TOKENIZER).write_text(tokenizer, encoding="utf-8")
        return Manifest(
            source=checkpoint.model_id,
            source_sha256=checkpoint_digest(checkpoint.folder) if checkpoint.folder else "",
            precision=self._options.precision,
            image_size=checkpoint.image_size,
            image_tokens=_image_tokens(checkpoint),
            max_prompts=self._options.max_prompts,
            queries=int(checkpoint.model.config.detr_decoder_config.num_queries),
            opset=OPSET,
            pad_token=int(checkpoint.tokenizer.pad_token_id),
            tokenizer_sha256=sha256_of(self._folder / TOKENIZER),
            versions={"samlite_ros": __version__, **{name: version(name) for name in _VERSIONS}},
            graphs=(),
        )

    def _graphs(self, manifest: Manifest) -> list[Graph]:
        """Export the network; its memory is given back at the end."""
        checkpoint, self._backend = self._checkpoint().checkpoint, None
        dtype = _DTYPES[manifest.precision]
        precision.prepare(checkpoint.model, dtype)
        parts = all_parts(checkpoint.model, manifest.image_size, dtype)
        done = _read_record(self._folder, manifest)
        for place, part in enumerate(parts, 1):
            known = done.get(part.name)
            self._tell(f"graph {place} of {len(parts)}, {part.name}{': there already' if known else ''}")
            done[part.name] = known or write_graph(part, self._folder)
            _write_record(self._folder, manifest, done)
        return [done[part.name] for part in parts]

    def _measure(self, manifest: Manifest, reference: parity.Reference) -> dict[str, dict[str, float]]:
        self._tell(f"parity over {len(reference.frames)} frames, for 1 to {len(reference.prompts)} phrases at once")
        try:
            found = reference.compare(_onnx_backend(self._folder, manifest))
            parity.check(found, manifest.precision)
        except SamliteError:
            (self._folder / UNFINISHED).unlink()  # or the next run would take these graphs for good
            raise
        return found


def _finish(folder: Path, manifest: Manifest) -> None:
    write_manifest(folder, manifest)
    (folder / UNFINISHED).unlink(missing_ok=True)


def _unwritten(folder: Path, error: OSError) -> str:
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(there).free / 1e6
    return (
        f"{error.filename or folder} cannot be written: {reason(error)}; {free:.0f} MB are free there."
        " Graphs that are whole are kept: the same command goes on after them"
    )


def _image_tokens(checkpoint: Checkpoint) -> int:
    config = checkpoint.model.config
    return (checkpoint.image_size // int(config.vision_config.backbone_config.patch_size)) ** 2


def _onnx_backend(folder: Path, manifest: Manifest) -> ExportedBackend:
    from samlite_ros.segmenter.onnx.load import start

    return start(folder, manifest, SegmenterOptions(str(folder), device="cpu", provider="cpu"))


def _key(manifest: Manifest) -> dict[str, Any]:
    """What a graph depends on."""
    about = {name: value for name, value in asdict(manifest).items() if name not in ("graphs", "parity")}
    return {"made by": _digest_of(_SOURCES), **about}


@lru_cache(maxsize=1)
def _digest_of(rooms: tuple[str, ...]) -> str:
    folder = Path(__file__).parent.parent
    sources = [path for room in rooms for path in sorted((folder / room).glob("*.py"))]
    return hashlib.sha256("".join(map(sha256_of, sources)).encode()).hexdigest()


def _write_record(folder: Path, manifest: Manifest, done: dict[str, Graph]) -> None:
    content = {"key": _key(manifest), "graphs": [asdict(graph) for graph in done.values()]}
    partial = folder / f"{UNFINISHED}.new"
    partial.write_text(json.dumps(content), encoding="utf-8")
    partial.replace(folder / UNFINISHED)


def _read_record(folder: Path, manifest: Manifest) -> dict[str, Graph]:
    """Graphs that an interrupted run has left, if it exported the same and the files are still what they were."""
    try:
        content = read_json(folder / UNFINISHED, CHECKPOINT_JSON_BYTES)
        if content["key"] != _key(manifest):
            return {}
        graphs = [to_graph(graph) for graph in content["graphs"]]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {graph.name: graph for graph in graphs if _is_whole(folder, graph)}


def _is_whole(folder: Path, graph: Graph) -> bool:
    return all((folder / n).is_file() and sha256_of(folder / n) == digest for n, digest in graph.files.items())
