"""Load a SAM3-LiteText checkpoint, or say precisely why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoTokenizer, Sam3LiteTextConfig, Sam3LiteTextModel

from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.segmenter.sources import find_checkpoint

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded network.

    Args:
        model: Sam3LiteTextModel in evaluation mode, on `device` in `dtype`.
        tokenizer: Its tokenizer.
        model_id: Names the weights, as the user named them.
        image_size: Side of the square input [px].
    """

    model: Any
    tokenizer: Any
    model_id: str
    device: torch.device
    dtype: torch.dtype
    image_size: int


def load_checkpoint(options: SegmenterOptions) -> Checkpoint:
    """Load weights and tokenizer.

    Raises:
        ModelLoadError: Wrong name, missing or corrupt files, another architecture, no such device.
    """
    device = choose_device(options.device)
    dtype = choose_dtype(options.dtype, device)
    folder = find_checkpoint(options.model)
    config = Sam3LiteTextConfig.from_pretrained(folder, local_files_only=True)
    if options.image_size is not None:
        config.image_size = options.image_size
    model, loading = Sam3LiteTextModel.from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        attn_implementation=choose_attention(options.attention, device),
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
    )
    missing = sorted(loading["missing_keys"])
    if missing:
        raise ModelLoadError(f"{options.model}: {len(missing)} weights are missing, the first is {missing[0]!r}")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = model.to(device).eval().requires_grad_(False)
    return Checkpoint(model, tokenizer, options.model, device, dtype, int(config.image_size))


def choose_device(name: str) -> torch.device:
    """'auto' is CUDA where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """'auto' is float32 on a CPU; on CUDA bfloat16 where the GPU computes in it, else float16."""
    if name != "auto":
        return DTYPES[name]
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def choose_attention(name: str, device: torch.device) -> str:
    """'auto' is torch's fused attention."""
    return "sdpa" if name == "auto" else name
