"""Each table of the benchmarks is on one page of the site."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_section_is_on_one_page():
    readme = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    pages = [
        path.read_text(encoding="utf-8")
        for path in (ROOT / "doc" / "benchmarks").glob("*.md")
        if path.stem != "measuring"
    ]
    for part in ("begin", "end"):
        sections = sorted(re.findall(f"<!-- {part}: (\\w+) -->", readme))
        shown = re.findall(f"<!-- {part}: (\\w+) -->", "\n".join(pages))
        assert sections == sorted(shown)
