"""How many CPU threads the network may use."""

from __future__ import annotations


def set_torch_threads(threads: int) -> None:
    """Limit torch's threads within one operation; 0 leaves torch's own choice."""
    import torch

    if threads:
        torch.set_num_threads(threads)
