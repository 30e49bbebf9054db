"""The README says what the sources say."""

import re
import runpy
from pathlib import Path

import pytest

from samlite_ros.scenes import render_scene

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_blocks_equal_their_sources():
    synced = runpy.run_path(str(ROOT / "docs/sync_readme.py"))["synced"]
    assert synced(README) == README, "type: python3 docs/sync_readme.py"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_somewhere(target):
    assert (ROOT / target).exists()


def test_the_library_example_runs(capsys):
    (example,) = re.findall(r"```python\n(from samlite_ros\.segmenter import.*?)```", README, re.DOTALL)
    exec(example, {"rgb": render_scene(3).image})
    printed = capsys.readouterr().out
    assert printed.index("red ball 0.") < printed.index("blue box 0.")
