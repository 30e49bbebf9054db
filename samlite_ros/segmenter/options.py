"""What can be chosen about the segmenter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SegmenterOptions:
    """Which weights, where they run, and how.

    Args:
        model: 'demo' (embedded), a local folder (a checkpoint, or what `samlite export` made of one), a hub id such as
            'vil-uob/sam3-litetext-s0', or 'random:s0' (the full-size architecture with random weights, for
            benchmarks).
        device: 'auto' (CUDA where there is one), 'cpu', 'cuda', 'cuda:1' ...
        dtype: 'auto' (CUDA: bfloat16 where the GPU has it, else float16; CPU: bfloat16 for a large network where the
            CPU has it and is measured to be faster in it, else float32), 'float32', 'bfloat16', 'float16'.
        attention: 'auto', 'eager' or 'sdpa'.
        image_size: Side of the square network input [px]; None = the checkpoint's own.
        threads: Threads of torch or ONNX Runtime on the CPU; 0 = one for a small network, which more only slow down,
            else as many as there are.
        decode_batch: Prompts decoded at once, up to half as many more where that spares a batch; 0 = 16 where an
            image's features are small, down to 4 where they are large.
        text_bank_size: Prompts whose embeddings are kept in memory.
        text_bank_folder: Where embeddings of prompts are kept between runs; None = nowhere.
        keep_text_encoder: False frees the text encoder's memory; it is loaded again when a prompt is new.
        reuse_tokens: Of a camera that stands, compute only what changed since its last image: an approximation.
        reuse_memory_mb: Memory for what is kept of all cameras for that [MB].
        backend: What computes it: a key of `load.BACKENDS`, or 'auto': an export where there is one, else torch.
        provider: Of ONNX Runtime: 'auto' (the best that is there), 'tensorrt', 'cuda', 'openvino' or 'cpu' (this one,
            or an error).

    Raises:
        ValueError: A number is below its least value.
    """

    model: str = "demo"
    device: str = "auto"
    dtype: str = "auto"
    attention: str = "auto"
    image_size: int | None = None
    threads: int = 0
    decode_batch: int = 0
    text_bank_size: int = 1000
    text_bank_folder: Path | None = None
    keep_text_encoder: bool = True
    reuse_tokens: bool = False
    reuse_memory_mb: int = 1024
    backend: str = "auto"
    provider: str = "auto"

    def __post_init__(self) -> None:
        least = {"image_size": 1, "threads": 0, "decode_batch": 0, "text_bank_size": 1, "reuse_memory_mb": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise ValueError(f"{name} must be at least {bound}, got {value}")
