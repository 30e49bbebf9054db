"""Write the trained network as a folder that `Sam3LiteTextModel.from_pretrained` loads."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch


def export(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write `config.json`, `model.safetensors` (float16) and the tokenizer.

    Args:
        model: Sam3LiteTextModel; not changed.
        tokenizer: Its tokenizer.
        folder: Created if missing.
    """
    half = copy.deepcopy(model).to(torch.float16).eval()
    half.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
