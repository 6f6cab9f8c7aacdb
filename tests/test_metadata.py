"""Files that repeat the version, requirements, tables or numbers agree."""

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


# Benchmarks whose numbers a page states.
STATED = {
    "README.md": """accuracy unseen label_noise missing clustering outliers scattering
        time_series hopkins155 segmentation""",
    "choosing_epsilon.rst": "micl mcr2",
    "clustering.rst": "clustering hopkins155",
    "cost_memory.rst": "micl redunet invariant rates genes clustering mcr2",
    "invariance.rst": "liftings",
    "mcr2.rst": "mcr2",
    "memberships.rst": "mcr2",
    "micl.rst": "accuracy unseen details micl label_noise genes",
    "missing.rst": "missing",
    "namespaces_big_data.rst": "micl accuracy dask_rows stream",
    "networks.rst": """learned_filters fine_tuning joint_groups crate network_labels
        depth mcr2""",
    "outliers.rst": "outliers",
    "redunet.rst": "redunet depth",
    "scattering.rst": "scattering",
    "segmentation.rst": "segmentation",
    "symmetry.rst": "symmetry",
    "time_series.rst": "time_series",
    "what_skredu_is_not.rst": "accuracy details genes mcr2",
}
# Three decimals or more. Numbers such as 0.002 are left out: most tables contain them.
NUMBER = re.compile(r"(?<![\w.^/])\d*\.(?!00)\d{3,}(?!\w)")


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", *(ROOT / "doc").glob("guide/*.rst")],
    ids=lambda p: p.name,
)
def test_numbers_on_a_page_are_those_that_benchmarks_wrote(page):
    readme = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    found = dict(re.findall(r"<!-- begin: (\w+) -->(.*?)<!-- end:", readme, re.DOTALL))
    sections = STATED.get(page.name, "").split()
    words = re.split(r"[^\w.]+", " ".join(found[name] for name in sections))
    known = [float(word) for word in words if re.fullmatch(r"\d*\.\d+", word)]
    # Without examples, names and formulas.
    text = page.read_text(encoding="utf-8")
    text = re.sub(r">>> .*?(\n\n|\Z)", "", text, flags=re.DOTALL)
    for number in NUMBER.findall(re.sub(r"`[^`]*`", "", text)):
        rounding = 0.5001 * 10.0 ** -len(number.partition(".")[2])
        assert any(abs(value - float(number)) <= rounding for value in known), number


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
