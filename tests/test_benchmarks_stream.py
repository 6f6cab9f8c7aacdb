"""The script for signals in parts, on little generated data; no accuracy is judged."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="needs a checkout")


def test_parts_and_memory_are_reported(module, monkeypatch, tmp_path):
    stream, harness, out = module("stream"), module("_harness"), tmp_path / "out.md"

    def peak_memory(prepare, *args):
        prepare(*args)()  # not in a child: what it does is what is tested here
        return harness.Peak(2**31, None)

    monkeypatch.setattr(stream, "peak_memory", peak_memory)
    sizes = ["--train", "240", "--test", "20", "--size", "100", "--filters", "2"]
    sizes += ["--parts-of-100", "3"]
    stream.main([*sizes, "--output", str(out)])
    text = out.read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("| ") and line[2].isdigit()
    ]
    rows, small = rows[:-5], rows[-5:]
    assert [row[0] for row in rows] == ["100", "200", "240", *["20"] * 2, *["40"] * 2]
    assert [row[0] for row in small] == ["20", "20", "200", "20", "32"]
    assert all(float(row[-1]) > 0.0 for row in small)
    assert {row[3] for row in rows[:3]} == {"0.00"}  # no shift changes an answer
    assert rows[2][2] != "–" == rows[1][2]
    assert rows[-1][-1] == "2.00"
    assert "generated" in text
