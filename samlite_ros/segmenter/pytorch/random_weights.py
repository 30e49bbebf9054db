"""The published architecture with random weights: the real cost of a pass, without the real checkpoint."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import Sam3LiteTextModel
from transformers.initialization import no_init_weights

RANDOM_MODELS: dict[str, dict[str, Any]] = {"random:s0": {"text_config": {"num_hidden_layers": 6}}}
"""Name to what differs from transformers' default configuration. For benchmarks and tests: it finds nothing."""

_BLOCK = 1 << 20


def random_model(config: Any, dtype: torch.dtype, seed: int = 0) -> Any:
    """Build the network of a configuration with seeded random weights, in seconds.

    Weights repeat one block of a million random numbers, scaled by the fan-in, so that activations keep their size.

    Args:
        config: A Sam3LiteTextConfig.
        dtype: Of the weights.
        seed: Of the random numbers.
    """
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with no_init_weights():
            model = Sam3LiteTextModel(config)
    finally:
        torch.set_default_dtype(default)
    block = torch.randn(_BLOCK, generator=torch.Generator().manual_seed(seed)).to(dtype)
    with torch.no_grad():
        for module in model.modules():
            _fill(module, block)
    return model


def _fill(module: nn.Module, block: torch.Tensor) -> None:
    if isinstance(module, nn.LayerNorm | nn.GroupNorm | nn.BatchNorm2d):
        module.reset_parameters()
        return
    for parameter in module.parameters(recurse=False):
        flat = parameter.view(-1)
        for start in range(0, len(flat), len(block)):
            piece = flat[start : start + len(block)]
            piece.copy_(block[: len(piece)])
        parameter.mul_(max(parameter[0].numel(), 1) ** -0.5 if parameter.ndim > 1 else 0)
