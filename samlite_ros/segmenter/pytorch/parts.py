"""How large are the parts of a network? Counted on torch's meta device: nothing is loaded, no memory is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import Sam3LiteTextConfig, Sam3LiteTextModel

from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter.files import check_architecture, check_settings
from samlite_ros.segmenter.pytorch.random_weights import RANDOM_MODELS
from samlite_ros.segmenter.sources import DEMO_FOLDER, PUBLISHED, cached_config, refuse_wrong_name

PARTS = {
    "vision encoder": ("vision_encoder",),
    "text encoder": ("text_encoder",),
    "text projection": ("text_projection",),
    "geometry encoder": ("geometry_encoder",),
    "DETR encoder": ("detr_encoder",),
    "DETR decoder": ("detr_decoder",),
    "mask decoder": ("mask_decoder",),
    "scoring": ("dot_product_scoring",),
}
"""Name to the modules of Sam3LiteTextModel."""

SAM3_PARAMETERS = {
    "vision encoder": 454_038_784,
    "text encoder": 353_462_272,
    "text projection": 262_400,
    "geometry encoder": 8_083_456,
    "DETR encoder": 9_472_512,
    "DETR decoder": 11_575_093,
    "mask decoder": 2_298_881,
    "scoring": 1_182_976,
}
"""SAM3's, counted on transformers' Sam3Model with its default configuration, which is that of facebook/sam3."""

_KNOWN = {PUBLISHED[0]: RANDOM_MODELS["random:s0"], **RANDOM_MODELS}


class PartSize(NamedTuple):
    """One part's size.

    Args:
        name: Key of `PARTS`.
        parameters: Number of weights.
        sam3_parameters: SAM3's number of weights in the same part.
    """

    name: str
    parameters: int
    sam3_parameters: int


def part_sizes(config: Any) -> list[PartSize]:
    """Sizes of the parts of a configuration's network.

    Args:
        config: See `find_config`.
    """
    with torch.device("meta"):
        network = Sam3LiteTextModel(config)
    return [
        PartSize(name, sum(_count(getattr(network, module)) for module in modules), SAM3_PARAMETERS[name])
        for name, modules in PARTS.items()
    ]


def _count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def find_config(model: str) -> Any:
    """A model's configuration, without its weights.

    Args:
        model: 'demo', a folder, or a hub id; for 'vil-uob/sam3-litetext-s0' neither files nor network are needed.

    Raises:
        ModelLoadError: There is no such model, or its configuration is not at hand.
    """
    folder = DEMO_FOLDER if model == "demo" else Path(model).expanduser()
    if folder.is_dir():
        check_architecture(folder)
        check_settings(folder)
        return Sam3LiteTextConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if model in _KNOWN:
        return Sam3LiteTextConfig(**_KNOWN[model])
    refuse_wrong_name(model)
    path = cached_config(model)
    if path is None:
        raise ModelLoadError(
            f"the configuration of {model!r} is not on this machine, and the hub does not give it:"
            f" `samlite download {model}` where there is a network; without one, {PUBLISHED[0]} is known"
        )
    check_architecture(path.parent)
    check_settings(path.parent)
    return Sam3LiteTextConfig.from_pretrained(path.parent, local_files_only=True, trust_remote_code=False)
