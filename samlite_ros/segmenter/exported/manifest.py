"""What an export's folder holds, and whether it is whole: `export.json` and the files that it names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from samlite_ros.errors import ModelLoadError
from samlite_ros.foreign.json_file import read_json
from samlite_ros.foreign.limits import CHECKPOINT_JSON_BYTES

MANIFEST = "export.json"
UNFINISHED = "export.partial.json"
"""There instead while the export is being made: what is done already."""
TOKENIZER = "tokenizer.json"
FORMAT = 1
"""Of the folder: raised when an older program could misread it."""
PRECISIONS = ("fp32", "fp16", "int8")
PROMPT_GRAPHS = ("proposals", "masks", "text")
"""Graphs beside the image's stages."""
_OF_PROMPTS = {
    "proposals": (("attended", "features", "mask"), ("scores", "presence", "boxes", "queries", "encoded")),
    "masks": (("encoded", "features", "mask", "queries", "rows", "kept"), ("logits",)),
    "text": (("input_ids", "attention_mask"), ("features",)),
}
"""What the graphs of prompts take, besides what the image's give, and what they give."""
_LARGEST = 1 << 20
"""No number of a manifest is larger."""

Shape = tuple[int | str, ...]
"""Of a graph's input or output; a text names a free axis."""


@dataclass(frozen=True)
class Tensor:
    """An input or output.

    Args:
        dtype: numpy's name.
        shape: See `Shape`.
    """

    dtype: str
    shape: Shape


@dataclass(frozen=True)
class Graph:
    """One exported graph.

    Args:
        name: `image_0` ..., or one of `PROMPT_GRAPHS`.
        files: Name to sha256; the first is the graph.
        inputs, outputs: By name, in the graph's order.
    """

    name: str
    files: Mapping[str, str]
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]

    @property
    def file(self) -> str:
        """Name of the graph's file."""
        return next(iter(self.files))


@dataclass(frozen=True)
class Manifest:
    """What was exported, and how.

    Args:
        source: The model, as the user named it.
        source_sha256: Of its weights.
        precision: One of `PRECISIONS`.
        image_size: Side of the square input [px].
        image_tokens: Patches of it.
        max_prompts: Most phrases decoded at once.
        queries: Q.
        opset: Of the graphs.
        pad_token: Its id.
        tokenizer_sha256: Of `TOKENIZER`.
        versions: Of what exported it, by package.
        graphs: The image's stages in their order, then `PROMPT_GRAPHS`.
        parity: Largest differences from torch's float32, by number of phrases; empty = not measured. Of int8: before
            the image's graphs were rounded.
        findings: Of int8: what it finds of what float32 finds, see `export.findings.summary`.
    """

    source: str
    source_sha256: str
    precision: str
    image_size: int
    image_tokens: int
    max_prompts: int
    queries: int
    opset: int
    pad_token: int
    tokenizer_sha256: str
    versions: Mapping[str, str]
    graphs: tuple[Graph, ...]
    parity: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    findings: Mapping[str, float] = field(default_factory=dict)

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the image's graphs, in the order in which they run."""
        return tuple(graph.name for graph in self.graphs if graph.name not in PROMPT_GRAPHS)

    @property
    def digest(self) -> str:
        """Names the graphs: another one where any of them differs."""
        hashes = [f"{name} {value}" for graph in self.graphs for name, value in sorted(graph.files.items())]
        return hashlib.sha256("\n".join([self.precision, self.tokenizer_sha256, *hashes]).encode()).hexdigest()[:32]

    def graph(self, name: str) -> Graph:
        return next(graph for graph in self.graphs if graph.name == name)


def is_export(folder: Path) -> bool:
    """Whether the folder claims to be an export."""
    return (folder / MANIFEST).is_file()


def check_finished(folder: Path) -> None:
    """Refuse an export that is not whole yet.

    Raises:
        ModelLoadError: It was interrupted; says how to go on.
    """
    if (folder / UNFINISHED).is_file():
        raise ModelLoadError(
            f"{folder} is an export that was interrupted: the same `samlite export` again goes on with it"
        )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Readers see the old manifest or the new one, never half of one."""
    partial = folder / f"{MANIFEST}.partial"
    partial.write_text(json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """Read `export.json`.

    Raises:
        ModelLoadError: It is missing, broken, or of another format; says what and what to do.
    """
    path = folder / MANIFEST
    try:
        content = read_json(path, CHECKPOINT_JSON_BYTES)
        if not isinstance(content, dict):
            raise TypeError(f"it holds a {type(content).__name__}, expected an object")
        if content.get("format") != FORMAT:
            raise ValueError(f"its format is {content.get('format')!r}, this program reads {FORMAT}")
        return _to_manifest(content)
    except FileNotFoundError as error:
        raise ModelLoadError(f"{folder} has no {MANIFEST}: `samlite export MODEL -o {folder}` makes one") from error
    except KeyError as error:
        raise ModelLoadError(f"{path} is broken, {error.args[0]!r} is missing: export the model again") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelLoadError(f"{path} is broken ({error}): export the model again") from error


def check_files(folder: Path, manifest: Manifest) -> None:
    """Check that each file is the one that was exported.

    Raises:
        ModelLoadError: A file is missing, damaged, or another export's; names it.
    """
    for name, expected in _files(manifest):
        path = folder / name
        if not path.is_file():
            raise ModelLoadError(f"{path} is missing, which {MANIFEST} names: export the model again")
        try:
            found = sha256_of(path)
        except OSError as error:
            raise ModelLoadError(f"{path} cannot be read: {error.strerror}") from error
        if found != expected:
            raise ModelLoadError(
                f"{path} is not the file that {MANIFEST} describes: it is damaged, or belongs to another export."
                " Export the model again, or copy the whole folder"
            )


def sha256_of(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _files(manifest: Manifest) -> Iterable[tuple[str, str]]:
    yield TOKENIZER, manifest.tokenizer_sha256
    for graph in manifest.graphs:
        yield from graph.files.items()


def _to_manifest(content: dict[str, Any]) -> Manifest:
    """From JSON; raises KeyError, TypeError or ValueError where it is no manifest."""
    content = {"findings": {}} | content  # which older exports have not
    known = {item.name: content[item.name] for item in fields(Manifest)}
    for item in fields(Manifest):
        _check_type(item.name, known[item.name], str(item.type))
    if known["precision"] not in PRECISIONS:
        raise ValueError(f"precision is {known['precision']!r}")
    for found in (known["findings"], *known["parity"].values()):
        if not isinstance(found, dict) or not all(isinstance(v, int | float) for v in found.values()):
            raise TypeError(f"parity and findings are numbers by name, and not {found!r}")
    known["graphs"] = tuple(to_graph(graph) for graph in content["graphs"])
    manifest = Manifest(**known)
    check_graphs(manifest)
    return manifest


def check_graphs(manifest: Manifest) -> None:
    """Check that the graphs are a whole network: each takes what those before it give.

    Raises:
        ValueError: One is missing, or belongs to another network.
    """
    names = [graph.name for graph in manifest.graphs]
    if names != [*(f"image_{i}" for i in range(len(names) - len(PROMPT_GRAPHS))), *PROMPT_GRAPHS] or len(names) < 4:
        raise ValueError(f"graphs {', '.join(names)}")
    side = manifest.image_size
    given: Mapping[str, Tensor] = {"image": Tensor("uint8", (1, side, side, 3))}
    for graph in (manifest.graph(name) for name in manifest.stages):
        if graph.inputs != given:
            raise ValueError(f"graph {graph.name} does not take what the one before it gives")
        given = {name.removesuffix("_out"): tensor for name, tensor in graph.outputs.items()}
    if "attended" not in given:
        raise ValueError(f"graph {manifest.stages[-1]} gives {', '.join(given)}")
    for name, (taken, made) in _OF_PROMPTS.items():
        graph = manifest.graph(name)
        if not set(taken) <= set(graph.inputs) <= {*given, *taken} or set(graph.outputs) != set(made):
            raise ValueError(f"graph {name} takes {', '.join(graph.inputs)} and gives {', '.join(graph.outputs)}")
        if any(graph.inputs[key] != given[key] for key in graph.inputs.keys() & given.keys()):
            raise ValueError(f"graph {name} does not take what the image's give")
    attended, scores = manifest.graph("proposals").inputs["attended"], manifest.graph("proposals").outputs["scores"]
    if (attended.dtype == "float16") != (manifest.precision == "fp16") or manifest.queries not in scores.shape:
        raise ValueError(f"its graphs are not of precision {manifest.precision}, {manifest.queries} queries")


def _check_type(name: str, value: object, kind: str) -> None:
    if kind in ("int", "str") and type(value).__name__ != kind:
        raise TypeError(f"{name} is {value!r}")
    if isinstance(value, int) and not (name != "pad_token") <= value <= _LARGEST:
        raise ValueError(f"{name} is {value}")
    if kind.startswith("Mapping") and not isinstance(value, dict):
        raise TypeError(f"{name} is {value!r}")


def to_graph(content: dict[str, Any]) -> Graph:
    """From JSON; raises KeyError, TypeError or ValueError where it is no graph."""
    name, files = content["name"], content["files"]
    if not isinstance(name, str) or not isinstance(files, dict):
        raise TypeError(f"graph {name!r} has files {files!r}")
    if not files or any(Path(file).name != file or file == ".." for file in files):
        raise ValueError(f"files of graph {name!r}: {', '.join(files) or 'none'}")
    inputs, outputs = (
        {name: Tensor(t["dtype"], tuple(t["shape"])) for name, t in content[side].items()}
        for side in ("inputs", "outputs")
    )
    return Graph(name, files, inputs, outputs)
