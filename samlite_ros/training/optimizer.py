"""Who trains which weights: Muon the matrices of the transformer blocks, AdamW everything else."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

from samlite_ros.errors import TrainingError
from samlite_ros.training.recipe import Recipe

_BLOCK_MATRIX = re.compile(r"layers\.\d+\..*(_proj|fc\d)\.weight")


class Optimizer:
    """Muon and AdamW as one.

    Source of Muon: Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024.

    Weight decay is on matrices, embeddings excepted.

    Args:
        model: The network; what needs no gradient is left alone.
        heads: The token heads.
        recipe: Learning rates and weight decay.

    Raises:
        TrainingError: This torch has no Muon.
    """

    def __init__(self, model: nn.Module, heads: nn.Module, recipe: Recipe) -> None:
        if not hasattr(torch.optim, "Muon"):
            raise TrainingError(f"training needs torch 2.9 or newer (for Muon), this is torch {torch.__version__}")
        blocks: list[nn.Parameter] = []
        decayed: list[nn.Parameter] = []
        free = list(heads.parameters())
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            if parameter.ndim == 2 and _BLOCK_MATRIX.search(name):
                blocks.append(parameter)
            else:
                (decayed if parameter.ndim >= 2 and "embed" not in name else free).append(parameter)
        groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": free, "weight_decay": 0.0}]
        self.parts: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True),
            torch.optim.Muon(
                blocks,
                lr=recipe.matrix_learning_rate,
                weight_decay=recipe.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            ),
        )
        self._peaks = (recipe.learning_rate, recipe.matrix_learning_rate)
        self.parameters = [p for part in self.parts for group in part.param_groups for p in group["params"]]

    def set_rate(self, share: float) -> None:
        """Set the learning rates to a share of their peaks."""
        for part, peak in zip(self.parts, self._peaks, strict=True):
            for group in part.param_groups:
                group["lr"] = peak * share

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Update all weights."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """The state of both."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        for part, own in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(own)
