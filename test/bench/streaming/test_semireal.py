"""On pieces of photographs, carried masks beat the usual way, and no treatment ruins them."""

import pytest

from samlite_ros.bench.streaming import semireal
from samlite_ros.bench.streaming.options import StreamingBenchOptions
from samlite_ros.scenes.cutouts import SEQUENCES

MOST_ERROR_RATIO = {"plain": 0.45, "exposure": 0.75}


@pytest.mark.parametrize("name", MOST_ERROR_RATIO)
def test_carrying_beats_the_usual_way(name, monkeypatch):
    monkeypatch.setattr(semireal, "SEQUENCES", tuple(c for c in SEQUENCES if c.name == name))
    options = StreamingBenchOptions(profiles_ms=(250.0,), frames=36, charge_s=0)
    values = {f.name: f.value for f in semireal.run(options, lambda items, text: items)}
    assert values[f"semireal/250 ms, {name}/error_ratio"] < MOST_ERROR_RATIO[name]
    assert values[f"semireal/250 ms, {name}/iou_bound"] > values[f"semireal/250 ms, {name}/iou_peers"]
