"""Fill the marked blocks of README and docs, and config/samlite.yaml: nothing is written twice by hand.

python3 docs/sync_docs.py      (tests fail where this was forgotten)
"""

from __future__ import annotations

import re
from pathlib import Path

from samlite_ros.messages import outputs
from samlite_ros.parameters import render

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"<!-- begin (?P<source>\S+) -->\n.*?<!-- end (?P=source) -->", re.DOTALL)
TABLES = {"parameters": render.render_markdown, "topics": outputs.render_markdown}
LANGUAGES = {".py": "python", ".hpp": "cpp"}


def pages() -> list[Path]:
    """README and docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def synced(text: str) -> str:
    """A page's text with every block filled."""
    return BLOCK.sub(lambda block: _filled(block["source"]), text)


def _filled(source: str) -> str:
    return f"<!-- begin {source} -->\n{_content(source)}<!-- end {source} -->"


def _content(source: str) -> str:
    if source in TABLES:
        return TABLES[source]()
    path = ROOT / source
    return f"```{LANGUAGES[path.suffix]}\n{path.read_text(encoding='utf-8')}```\n"


if __name__ == "__main__":
    for page in pages():
        page.write_text(synced(page.read_text(encoding="utf-8")), encoding="utf-8")
    (ROOT / "config/samlite.yaml").write_text(render.render_yaml(), encoding="utf-8")
