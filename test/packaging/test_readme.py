"""README and docs say what the sources say, and lead somewhere."""

import re
import runpy
from pathlib import Path

import pytest

from samlite_ros.scenes import render_scene

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


SYNC = runpy.run_path(str(ROOT / "docs/sync_docs.py"))
PAGES = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in SYNC["pages"]()}
LINKS = sorted({(page, link) for page, text in PAGES.items() for link in re.findall(r"\]\(([^):]+)\)", text)})


@pytest.mark.parametrize("page", PAGES)
def test_blocks_equal_their_sources(page):
    assert SYNC["synced"](PAGES[page]) == PAGES[page], "type: python3 docs/sync_docs.py"


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_links_lead_somewhere(page, link):
    path, _, heading = link.partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page
    assert target.exists()
    if heading:
        titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        assert heading in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def test_the_library_example_runs(capsys):
    (example,) = re.findall(r"```python\n(from samlite_ros\.segmenter import.*?)```", README, re.DOTALL)
    exec(example, {"rgb": render_scene(3).image})
    printed = capsys.readouterr().out
    assert printed.index("red ball 0.") < printed.index("blue box 0.")
