"""The README says what the sources say."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_blocks_equal_their_sources():
    synced = runpy.run_path(str(ROOT / "docs/sync_readme.py"))["synced"]
    assert synced(README) == README, "type: python3 docs/sync_readme.py"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_somewhere(target):
    assert (ROOT / target).exists()
