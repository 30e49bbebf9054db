"""What the tests of several parts of the benchmark need."""

from __future__ import annotations

from collections import Counter

import pytest


@pytest.fixture
def passes(segmenter):
    """How often each encoder and the decoder run."""
    counts: Counter[str] = Counter()
    model = segmenter.backend.checkpoint.model
    watched = {
        "image": model.vision_encoder.neck.fpn_layers[0],
        "text": model.text_encoder,
        "decode": model.dot_product_scoring,
    }
    hooks = [m.register_forward_pre_hook(lambda *_, n=name: counts.update([n])) for name, m in watched.items()]
    yield counts
    for hook in hooks:
        hook.remove()
