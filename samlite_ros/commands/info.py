"""`samlite info`: parameters and memory of a model's parts, beside SAM3's."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from samlite_ros.errors import ModelLoadError
from samlite_ros.foreign.words import printable
from samlite_ros.segmenter import SegmenterOptions, load_segmenter
from samlite_ros.segmenter.exported.find import export_of
from samlite_ros.segmenter.exported.manifest import check_files, is_export, read_manifest

if TYPE_CHECKING:
    from samlite_ros.segmenter.pytorch.parts import PartSize

DESCRIPTION = """Parameters and memory of each part of a model, beside those of SAM3. Only the configuration is read:
the weights need not be there. Memory is that of the weights alone, as float32 (32 bits) and bfloat16 (16 bits) hold
them. The last line says where and in which of them this machine computes if it is left to choose. Of an export: its
graphs, precision, parity, and what computes it here."""


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "model", nargs="?", default="demo", metavar="MODEL", help="demo, a local folder or a hub id (default: demo)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the table; of an export what is in it and what would compute it."""
    folder = Path(arguments.model).expanduser()
    exported = folder if is_export(folder) else _export_that_computes(arguments.model)
    if exported is not None and (exported == folder or find_spec("torch") is None):
        print("\n".join(_export(exported)))
        return 0
    from samlite_ros.segmenter.pytorch.dependencies import check_dependencies

    check_dependencies()
    from samlite_ros.segmenter.pytorch.checkpoint import as_load_errors, no_network
    from samlite_ros.segmenter.pytorch.parts import find_config, part_sizes
    from samlite_ros.segmenter.pytorch.precision import choose_device, choose_precision, in_words

    device = choose_device("auto")
    with as_load_errors(no_network(arguments.model)):
        config = find_config(arguments.model)
        sizes, precision = part_sizes(config), choose_precision("auto", device, config)
    print(printable("\n".join(_table(arguments.model, sizes))))
    if exported is None:
        print(f"here it computes on {in_words(device, precision)}")
    else:
        print(f"here its export computes: `samlite info {printable(str(exported))}` tells what it is")
    return 0


def _export_that_computes(model: str) -> Path | None:
    """The export that backend `auto` takes for a model; None = it takes none."""
    from samlite_ros.segmenter.choose import choose_backend

    found = export_of(model)
    return found if found is not None and choose_backend(SegmenterOptions(model)) != "torch" else None


def _export(folder: Path) -> Iterator[str]:
    from samlite_ros.segmenter.choose import choose_backend

    manifest = read_manifest(folder)
    check_files(folder, manifest)
    sizes = {g.name: sum((folder / name).stat().st_size for name in g.files) for g in manifest.graphs}
    precision, versions = manifest.precision, ", ".join(map(" ".join, manifest.versions.items()))
    yield f"{folder}: {manifest.source} exported as {precision} for {manifest.image_size} px, opset {manifest.opset}"
    yield f"at most {manifest.max_prompts} phrases at once; made with {versions}"
    for graph in manifest.graphs:
        inputs = ", ".join(f"{name} {t.dtype} {'x'.join(map(str, t.shape))}" for name, t in graph.inputs.items())
        yield f"  {graph.name:10} {sizes[graph.name] / 1e6:8.1f} MB  {inputs}"
    yield f"  {'all':10} {sum(sizes.values()) / 1e6:8.1f} MB, and about as much memory"
    for count, found in list(manifest.parity.items())[-1:]:
        told = ", ".join(f"{name} {value:.3g}" for name, value in found.items())
        yield f"differs from torch's float32 with {count} phrases by: {told}"
    if manifest.findings:
        told = ", ".join(f"{name} {value:.4g}" for name, value in manifest.findings.items())
        yield f"the image's graphs are int8; of what float32 finds: {told}"
    if not manifest.parity:
        yield "its parity with torch was not measured"
    options = SegmenterOptions(str(folder))
    backend = choose_backend(options)
    try:
        if backend == "tensorrt":
            yield "here it is computed by backend tensorrt, whose engines are built when it is loaded"
        else:
            yield f"here it computes on {load_segmenter(options).computes}"
    except ModelLoadError as error:
        yield f"here it is computed by nothing: {error}"


def _table(model: str, sizes: Sequence[PartSize]) -> Iterator[str]:
    yield f"{model}, beside SAM3 (facebook/sam3)"
    yield f"{'part':16}  {'parameters':>11}  {'32 bit':>9}  {'16 bit':>9}  {'SAM3':>11}  {'change':>7}"
    for size in sizes:
        yield _row(size.name, size.parameters, size.sam3_parameters)
    yield _row("all", sum(s.parameters for s in sizes), sum(s.sam3_parameters for s in sizes))


def _row(name: str, count: int, sam3: int) -> str:
    change = "same" if count == sam3 else f"{(count - sam3) / sam3:+.1%}"
    memory = f"{count * 4 / 1e6:6.1f} MB  {count * 2 / 1e6:6.1f} MB"
    return f"{name:16}  {count / 1e6:9.3f} M  {memory}  {sam3 / 1e6:9.3f} M  {change:>7}"
