"""Scripts that compare clusterings, on little generated data; no times are judged."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

FOLDER = Path(__file__).parents[1] / "benchmarks"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="needs a checkout")

SEQUENCES = {"a": ("checkerboard", 3), "a_g12": ("checkerboard", 2), "b": ("other", 2)}


def motions(rng, n_motions, n_points=20, n_frames=12):
    """Paths of points of rigid motions under an affine camera, and which is which."""
    y = np.repeat(np.arange(n_motions), n_points)
    shapes = rng.normal(size=(len(y), 4))
    cameras = rng.normal(size=(n_motions, 4, 2 * n_frames))
    paths = np.einsum("ij,ijk->ik", shapes, cameras[y])
    return paths.reshape(len(y), n_frames, 2).transpose(2, 0, 1), y


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder with tiny files of the form of the real ones."""
    path, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    arrays = {
        "names": list(SEQUENCES),
        "category": [category for category, _ in SEQUENCES.values()],
        "n_motions": np.array([n for _, n in SEQUENCES.values()], dtype=np.uint8),
    }
    for name, (_, n) in SEQUENCES.items():
        arrays[f"x/{name}"], arrays[f"s/{name}"] = motions(rng, n)
    np.savez(path / "hopkins155.npz", **arrays)
    y = np.repeat([0, 1, 30, 31], 8)
    light = np.abs(rng.normal(size=(4, 2, 30)))[np.unique(y, return_inverse=True)[1]]
    X = np.einsum("ij,ijk->ik", np.abs(rng.normal(size=(32, 2))), light)
    X = (X * 20).astype(np.uint16).reshape(32, 6, 5)
    np.savez(path / "extended_yale_b.npz", X=X, y=y)
    np.savez(path / "coil20.npz", X=X[:16], y=y[:16])
    return path


def rows_of_tables(text, first):
    """Cells of the rows that begin with a word."""
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines()]
    return [row for row in rows if row and row[0] == first]


def test_sequences_are_paths_as_rows(module, folder):
    sequences = module("_data").hopkins155(folder)
    assert [s.name for s in sequences] == list(SEQUENCES)
    assert [(s.category, s.n_motions) for s in sequences] == list(SEQUENCES.values())
    assert [s.video for s in sequences] == ["a", "a", "b"]
    with np.load(folder / "hopkins155.npz") as file:
        x, y = file["x/b"], file["s/b"]
    assert sequences[2].X.shape == (40, 24)
    assert_allclose(sequences[2].X[7, 10:12], x[:, 7, 5])
    assert_array_equal(sequences[2].y, y)


@pytest.mark.parametrize(("name", "top"), [("yale_faces", 255), ("coil20", 4080)])
def test_images_are_rows_in_the_unit_interval(module, folder, name, top):
    X, y = getattr(module("_data"), name)(folder)
    assert X.shape == (len(y), 30)
    assert_allclose(X * top, np.round(X * top), atol=1e-9)
    assert X.max() <= 1.0


def test_sparsity_dimension_is_the_smallest(module):
    dimension = module("hopkins155").sparsity_dimension
    for n_features in (30, 60, 200):
        d = dimension(n_features)
        assert d >= 8 * np.log2(n_features / d)
        assert d - 1 < 8 * np.log2(n_features / (d - 1))


def test_rows_are_projected_or_balanced(module, folder):
    hopkins, sequence = module("hopkins155"), module("_data").hopkins155(folder)[0]
    plain = hopkins.rows_of(sequence, hopkins.Setting(lambda *_: 12))
    assert_allclose(plain @ plain.T, sequence.X @ sequence.X.T, atol=1e-8)
    setting = hopkins.Setting(lambda *_: 12, power=0.5, unit=True)
    rows = hopkins.rows_of(sequence, setting)
    assert_allclose(np.sum(rows**2, axis=1), 1.0)
    factor = rows[0] / plain[0] * np.linalg.norm(plain, axis=0) ** 0.5
    assert_allclose(factor, factor[0])


def test_first_half_takes_every_other_video(module, folder):
    sequences = module("_data").hopkins155(folder)
    assert module("hopkins155").first_half(sequences) == {"a"}


def test_hopkins155_script(module, folder, tmp_path):
    hopkins, out = module("hopkins155"), tmp_path / "out.md"
    arguments = ["--data", str(folder), "--output", str(out), "--settings"]
    name = list(hopkins.SETTINGS)[-1]
    hopkins.main([*arguments, name])
    text = out.read_text(encoding="utf-8")
    assert "Ours are 3 of the 155 sequences" in text
    (row,) = rows_of_tables(text, f"skredu: {name}")
    assert row[1:7] == ["3", *["0.00 / 0.00"] * 5]
    assert len(rows_of_tables(text, "published: ALC_5")) == 1
    two, three = rows_of_tables(text, "checkerboard")
    assert two[1:4] == ["2", "1", "0.00 / 0.00"]
    assert three[1:4] == ["3", "1", "0.00 / 0.00"]
    assert rows_of_tables(text, "traffic")[0][2:4] == ["0", "–"]


def test_hopkins155_script_takes_some_sequences(module, folder, tmp_path):
    hopkins, out = module("hopkins155"), tmp_path / "out.md"
    arguments = ["--data", str(folder), "--output", str(out), "--sequences", "2"]
    hopkins.main(arguments)
    text = out.read_text(encoding="utf-8")
    for name in hopkins.SETTINGS:
        assert rows_of_tables(text, f"skredu: {name}")[0][1] == "2"


def test_faces_script(module, folder, tmp_path):
    faces, out = module("faces"), tmp_path / "out.md"
    faces.main(["--data", str(folder), "--output", str(out)])
    text = out.read_text(encoding="utf-8")
    for part in ("Yale B, subjects 0-9", "Yale B, subjects 30-37", "COIL-20"):
        assert f"### {part}\n\n16 images of 30 pixels, k = 2." in text
    assert "subjects 10-19" not in text
    for name in faces.models(2):
        rows = rows_of_tables(text, name)
        assert [row[1] for row in rows] == ["projected", "whitened"] * 3
        assert all(0.0 <= float(row[3]) <= 1.0 for row in rows)
    assert all(row[2] == "2" for row in rows_of_tables(text, "skredu"))


def test_defaults_are_compared_on_rows_with_known_groups(module):
    groups, script = module("_groups"), module("clustering")
    problems = groups.problems(0)
    assert "embeddings, 20000 × 40" in groups.problems(20_000)
    assert "embeddings, 20000 × 40" not in problems
    X, y = problems["subspaces, 20 % outliers"]()
    assert np.sum(y < 0) == 60
    assert len(problems["iris, rows twice"]()[0]) == 300
    X, y = groups.blobs(60, 2, 3, 30.0)
    lines = []
    for name in groups.METHODS:
        score, found, outliers, seconds = script._found(name, X, y, 3)
        lines.append(["rows", "size", 3, name, score, found, outliers, seconds])
        assert float(seconds) >= 0.0
    assert lines[0][4:7] == lines[1][4:7] == ["1.000", 3, 0]
    assert script._means(lines)[0][1:] == ["1.000", "1 of 1"]
