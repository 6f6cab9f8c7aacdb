"""Files that repeat the version, requirements or tables agree."""

import re
import tomllib
from pathlib import Path

import pytest

import skredu

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(not (ROOT / "conda").exists(), reason="in checkouts")


def test_conda_recipe_has_the_version_and_the_requirements():
    recipe = (ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert f"\n  version: {skredu.__version__}\n" in recipe
    run = recipe.partition("\n  run:\n")[2].partition("\n\n")[0]
    required = {
        line.removeprefix("    - ").replace(" ", "") for line in run.split("\n")
    }
    python = f"python{project['project']['requires-python']}"
    assert required == {python, *project["project"]["dependencies"]}
    assert all(
        name.replace(">=", " >=") in recipe
        for name in project["build-system"]["requires"]
    )


def test_citation_has_the_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(
        rf"^version: .?{re.escape(skredu.__version__)}.?$", text, re.MULTILINE
    )


def test_every_table_of_the_benchmarks_is_on_one_page():
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
