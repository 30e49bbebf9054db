"""What can be chosen about an export."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExportOptions:
    """What is exported.

    Args:
        model: As `SegmenterOptions.model`.
        image_size: As `SegmenterOptions.image_size`.
        precision: One of `exported.manifest.PRECISIONS`.
        max_prompts: Most phrases decoded at once.

    Raises:
        ValueError: max_prompts is not positive.
    """

    model: str
    image_size: int | None = None
    precision: str = "fp32"
    max_prompts: int = 16

    def __post_init__(self) -> None:
        if self.max_prompts < 1:
            raise ValueError(f"max_prompts must be at least 1, got {self.max_prompts}")
