"""What keeps queries from being searched for, in words, for their statuses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class HoldUps:
    """What keeps whom from being searched; empty texts = nothing.

    Args:
        node: All queries.
        cameras: Those that search a camera, by its name.
    """

    node: str = ""
    cameras: Mapping[str, str] = field(default_factory=dict)

    def of_cameras(self, cameras: Iterable[str]) -> str:
        """What keeps a query of these cameras, beside what keeps all."""
        texts = {camera: self.cameras.get(camera, "") for camera in cameras}
        return "; ".join(f"camera {camera}: {text}" if camera else text for camera, text in texts.items() if text)
