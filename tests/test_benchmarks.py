"""Run every benchmark script on small data; times and scores are not tested."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.cluster import MeanShift
from sklearn.datasets import load_digits, load_iris, load_wine

FOLDER = Path(__file__).parents[1] / "benchmarks"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.exists(), reason="needs a checkout"),
    pytest.mark.filterwarnings("ignore:.* has no layer:UserWarning"),
]
RNG = np.random.default_rng(0)
CSV = "size,colour,Name,target\n" + "".join(
    f"{'' if i == 3 else i % 7},{'' if i == 4 else 'ab'[i % 2]},n{i},{'xy'[i % 2]}\n"
    for i in range(40)
)


def motions(n_motions, n_points=20, n_frames=12):
    """Return paths of points of rigid motions under an affine camera, and labels."""
    y = np.repeat(np.arange(n_motions), n_points)
    cameras = RNG.normal(size=(n_motions, 4, 2 * n_frames))
    paths = np.einsum("ij,ijk->ik", RNG.normal(size=(len(y), 4)), cameras[y])
    return paths.reshape(len(y), n_frames, 2).transpose(2, 0, 1), y


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a folder with tiny files in the format of the real ones."""
    path = tmp_path_factory.mktemp("data")
    (path / "titanic.csv").write_text(CSV, encoding="utf-8")
    (path / "tabular").mkdir()
    (path / "tabular" / "titanic.csv").write_text(CSV, encoding="utf-8")
    (path / "little.dat").write_text(CSV.partition("\n")[2], encoding="utf-8")
    kinds = {"names": ["a", "a_g12", "b"], "category": ["checkerboard"] * 2 + ["other"]}
    kinds["n_motions"] = np.array([3, 2, 2], dtype=np.uint8)
    for name, n in zip(kinds["names"], kinds["n_motions"], strict=True):
        kinds[f"x/{name}"], kinds[f"s/{name}"] = motions(n)
    np.savez(path / "hopkins155.npz", **kinds)
    y = np.repeat([0, 1, 30, 31], 8)
    light = np.abs(RNG.normal(size=(4, 2, 30)))[np.unique(y, return_inverse=True)[1]]
    X = np.einsum("ij,ijk->ik", np.abs(RNG.normal(size=(32, 2))), light)
    X = (X * 20).astype(np.uint16).reshape(32, 6, 5)
    np.savez(path / "extended_yale_b.npz", X=X, y=y)
    np.savez(path / "coil20.npz", X=X[:16], y=y[:16])
    rows, labels = RNG.random((20, 12)), np.arange(20) % 2
    series = {"names": ["little"]}
    for part in ("train", "test"):
        series |= {f"little/X_{part}": rows, f"little/y_{part}": labels}
    genes = {"names": ["alike"], "alike/X": rows, "alike/y": labels}
    np.savez(path / "microarray.npz", **genes)
    np.savez(path / "ucr_time_series.npz", **series)
    for part, splits in [("subset", ["train", "test", "test"]), ("val60", ["val"])]:
        photos = {"ids": [*"abc"][: len(splits)], "split": splits}
        for name in photos["ids"]:
            truth = np.kron(
                RNG.permutation(4).reshape(2, 2), np.ones((10, 10), np.uint8)
            )
            photos |= {f"seg/{name}": np.stack([truth, truth // 2])}
            image = np.repeat(60 * truth[..., None], 3, axis=2).astype(np.uint8)
            photos |= {f"img/{name}": image}
        np.savez(path / f"bsds500_{part}.npz", **photos)
    return path


def few_digits():
    X, y = load_digits(return_X_y=True, n_class=3)
    return X[:60], y[:60]


def little_split():
    y = np.arange(40) % 2
    X = np.random.default_rng(0).normal(size=(40, 6)) + 3 * y[:, None]
    return SimpleNamespace(X_train=X, y_train=y, X_test=X, y_test=y)


def small(module):
    return module("_data").Split(**vars(little_split()))


def experiment(shifts):
    nets = {"net": lambda: shifts.net((8,), 2, net_n_layers=1)}
    return shifts.Experiment("Little", 2, 6, 5, 3, nets, [("other", "0.9", "0.8")])


def peak_memory(module):
    def here(prepare, *args):
        prepare(*args)()  # not in a child: what it does is what is tested here
        return module("_harness").Peak(2**31, None)

    return here


FEW_LAYERS = {
    "relative, 0.1": {},
    "nesterov, 0.3": {"step": "nesterov", "eta": 0.3},
    "relu, all layers, estimated": {"membership": "relu", "step": "published"},
}
# script, arguments, what is made smaller in it, words of its report
SCRIPTS = {
    "accuracy": (
        "--models|MICL|LDA, shrinkage",
        {},
        ["| 1. MICL ", "| titanic |               40 x 2, 2 | 0.9"],
    ),
    "details": (
        "",
        {
            "SMALL": ("iris",),
            "LOADERS": {"iris": load_iris},
            "_letters": lambda _: little_split(),
            "_images": lambda _: little_split(),
        },
        ["| letters | ", "| laplacian ", "| iris ", "CodingGainSelector"],
    ),
    "depth": (
        "--runs|1|--rows|20",
        {"DEPTHS": (0, 1), "SERIES": ("little",), "SETTINGS": FEW_LAYERS},
        ["| digits, scattering", "| nesterov, 0.3 "],
    ),
    "faces": ("", {}, ["### COIL-20\n\n16 images of 30 pixels, k = 2."]),
    "genes": (
        "--repeats|2|--models|SVC, linear|weights + MICL",
        {},
        ["| alike | ", " 20 x 12, 2 | ", "| 2. weights + MICL |"],
    ),
    "hopkins155": (
        "--sequences|2|--missing-sequences|1",
        {"EPSILONS": (0.05, 0.2), "SHARES": (0.1,)},
        [
            "Ours are 2 of the 155 sequences",
            "published: ALC_5",
            "(chosen)",
            "| 10%     |  a Gaussian per group |",
        ],
    ),
    "invariant": (
        "--parts|layers|--runs|1|--dtypes|float64",
        {"GRID": (3, 4), "POINTS": 12, "CLASSES": 2, "SIZES": ((2, 8),)},
        ["| 2 x 8"],
    ),
    "label_noise": (
        "--components|3|--seeds|1|--models|MICL|--rows|90|--kernels|linear",
        {
            "SHARES": (0.0, 0.5),
            "PUBLISHED": {"a": (1, 1), "b": (1, 1)},
            "TABLES": (load_wine,),
        },
        ["| MICL", "random forest, 5 folds", 'kernel="linear", n_label_refits=1'],
    ),
    "mcr2": (
        "--components|3",
        {
            "SETS": {"wine": load_wine},
            "FOLDS": 2,
            "TABLE_FOLDS": 2,
            "_deep": lambda: [("relu", 2)],
        },
        ["| wine", "relu"],
    ),
    "micl": (
        "--parts|errors|--neighbors|5|--test|20|--train|300|--rbf-train|99|--local-train|99",
        {},
        ["| MICL, auto, 5 neighbours |          99 |"],
    ),
    "missing": (
        "--folds|2",
        {
            "MAX_VALUES": 5,
            "SHARES": (0.2,),
            "_groups_of_samples": lambda: {"iris": load_iris(return_X_y=True)},
        },
        ["| titanic ", " of 1 tables", "| 20 %    |  one Gaussian |", "| iris "],
    ),
    "symmetry": (
        "--splits|1",
        {"load_digits": lambda **_: few_digits()},
        ["| MICL, symm", "| neighbours, symmetric"],
    ),
    "dask_rows": (
        "--rows|400|--rows-of-nets|400|--size|150|--layers|1",
        {},
        ["| MICL, predict", "| default, fit", "Accuracy"],
    ),
    "outliers": (
        "--normal|60",
        {"BUNDLED": {"wine": (load_wine, [1])}, "SHARES": (0.1,)},
        ["| skredu, one Gaussian", "| wine: 1"],
    ),
    "rates": ("--runs|1", {"SHAPES": ((20, 30), (40, 10))}, ["| "]),
    "redunet": (
        "--parts|depth|single|--runs|1",
        {"DEPTHS": (0, 2)},
        ["wine", "| predict"],
    ),
    "scattering": (
        "--train|60|--test|9|--size|30|--per-class|3|--models|scattering",
        {},
        ["### Parts of 30 samples", "| without 9 |"],
    ),
    "segmentation": (
        "",
        {"MeanShift": partial(MeanShift, bin_seeding=True), "GRID": [(32.0, 3.0)]},
        [
            "| CompressionSegmenter ",
            "| people, each against the others ",
            "| difference chain code, adaptive ",
            "one setting",
            "| quick shift, half size ",
            "published: TBES",
        ],
    ),
    "shifts": (
        "--experiments|little|--models|net|5-NN|--rows|4|--net-rows|2|--copies|1",
        {"ANGLES": 8},
        ["published: other", "not MNIST"],
    ),
    "stream": (
        "--train|60|--test|9|--size|30|--filters|2|--parts-of-100|1|--batches|9",
        {},
        ["| "],
    ),
    "time_series": (
        "--models|1-NN|dilated kernels + MICL|--series|3|--runs|1",
        {},
        ["| little", "20 x 12, 2", "| double precision "],
    ),
    "unseen": (
        "--tables|little|--models|MICL|MICL, auto|logistic regression",
        {},
        ["40 x 3, 2 |", "| logistic regression "],
    ),
}
NEED_DATA = {"missing", "accuracy", "details", "depth", "faces", "genes", "hopkins155"}
NEED_DATA |= {"segmentation", "time_series", "unseen"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_reports(name, module, monkeypatch, data, tmp_path):
    arguments, smaller, words = SCRIPTS[name]
    if name == "dask_rows":
        pytest.importorskip("dask")
    script, out = module(name), tmp_path / "out.md"
    for key, value in smaller.items():
        monkeypatch.setattr(script, key, value)
    if name == "mcr2":
        few = dict(list(script.candidates().items())[::9])
        monkeypatch.setattr(script, "candidates", lambda: few)
    if name == "shifts":
        monkeypatch.setattr(script, "EXPERIMENTS", {"little": experiment(script)})
    if name in ("stream", "segmentation"):
        monkeypatch.setattr(script, "peak_memory", peak_memory(module))
    if name in ("redunet", "label_noise"):
        little = small(module)
        monkeypatch.setattr(script._data, "_like_mnist", lambda *_: little)
    if name == "redunet":
        wine = {"wine": script._bundled()["wine"]}
        monkeypatch.setattr(script, "_bundled", lambda: wine)
    arguments = [a for a in arguments.split("|") if a]
    if name in NEED_DATA:
        arguments += ["--data", str(data)]
    if name == "label_noise":
        arguments += ["--figure", str(tmp_path / "out.png")]
    script.main([*arguments, "--output", str(out)])
    text = out.read_text(encoding="utf-8")
    assert all(word in text for word in words)
    assert text.count("|") > 10


def test_a_folder_that_does_not_exist_is_an_error(module, capsys, tmp_path):
    with pytest.raises(SystemExit):
        module("hopkins155").main(["--data", str(tmp_path / "none")])
    assert "benchmarks.fetch" in capsys.readouterr().err


def test_plain_layers_are_those_of_the_published_networks(module, monkeypatch):
    redunet, invariant = module("redunet"), module("invariant")
    X, y = RNG.normal(size=(30, 8)), np.arange(30) % 3
    net = redunet.ReduNetTransformer(**redunet.published(4)).fit(X, y)
    order = np.argsort(y, kind="stable")
    plain = redunet.plain_network(X, y, 4)
    np.testing.assert_allclose(net.transform(X[order]), plain, atol=1e-12)
    monkeypatch.setattr(invariant, "GRID", (3, 4))
    monkeypatch.setattr(invariant, "POINTS", 12)
    X, y = invariant.signals((3, 4), 2, 8, 2, "float64")
    layer = invariant.plain_network(X, y, 1)
    found = invariant.published(1).fit(X, y).transform(X)
    np.testing.assert_allclose(found, layer, atol=1e-12)


def test_little_parts_of_the_scripts(module, data, tmp_path):
    groups, script = module("_groups"), module("clustering")
    X, y = groups.blobs(60, 2, 3, 30.0)
    for name in groups.METHODS:
        score, found, outliers, seconds = script._found(name, X, y, 3)
        assert float(seconds) >= 0.0
        if name == next(iter(groups.METHODS)):
            assert (score, found, outliers) == ("1.000", 3, 0)
    np.save(tmp_path / "X.npy", X)
    labels, bits, *_ = script._grown(tmp_path / "X.npy")
    assert np.array_equal(np.bincount(labels), [20, 20, 20])
    assert bits > 0.0
    assert script._above(X, labels, 60) == pytest.approx(0.0)
    ranks = module("accuracy").mean_ranks(np.array([[0.9, 0.8], [0.5, np.nan]]))
    assert ranks.tolist() == [1.0, 2.0]
    names = [name for name, *_ in module("liftings").sets(None, 5)]
    assert names == ["digits", "series 5", "series 10", "series 20"]
    module("scattering").main(["--parts", "series", "--data", str(data)])
    X, y = module("_data").table(data, "titanic")
    assert list(X.columns) == ["size", "colour"]
    assert X["colour"][4] == "missing"
    drawn = module("label_noise").corrupted(np.arange(5000) % 10, 0.5, 0)
    assert 0.42 < np.mean(drawn != np.arange(5000) % 10) < 0.48


def test_missing_entries_are_completed_in_the_subspace(module):
    trajectories = module("_trajectories")
    x, y = motions(2, n_points=30)
    X = x.transpose(1, 2, 0).reshape(len(y), -1)
    missing = trajectories.delete_frames(X, 0.2, np.random.default_rng(0))
    assert 0.15 < missing.mean() < 0.25
    holes = np.where(missing, np.nan, X)
    lines = trajectories.interpolated(holes, missing)
    np.testing.assert_array_equal(lines[~missing], X[~missing])
    assert np.isfinite(lines).all()
    one = trajectories.completed(lines, missing, 8)
    by_group = trajectories.completed_by_group(lines, missing, y)
    for found in (one, by_group):
        np.testing.assert_array_equal(found[~missing], X[~missing])
        np.testing.assert_allclose(found, X, atol=1e-3)


def test_rules_prefer_the_true_motions(module):
    trajectories = module("_trajectories")
    x, y = motions(2, n_points=30)
    paths = x.transpose(1, 2, 0).reshape(len(y), -1)
    X = trajectories.coordinates(paths, 8, 0.5, unit=True)
    wrong = np.arange(60) % 2
    some = np.where(np.arange(60) < 50, y, 0)  # ten points are in the wrong group
    found = [
        trajectories.Candidate(labels, X, epsilon, 0.0)
        for labels, epsilon in ((wrong, 0.4), (y, 0.2), (1 - y, 0.1), (some, 0.05))
    ]
    pool = trajectories.Pool(found, paths)
    for name, rule in trajectories.RULES.items():
        if name != "fewest penalised bits":
            assert np.argmin(rule(pool)) in (1, 2), name
    bits = trajectories.penalised_bits(pool)
    np.testing.assert_allclose(bits, 480 * np.log2([0.4, 0.2, 0.1, 0.05]))


def test_report_fills_in_its_place_of_the_readme(module, tmp_path):
    report = module("_harness").Report("a", "Title")
    report.table(["x"], [["new"]])
    path = tmp_path / "file.md"
    path.write_text("1\n<!-- begin: a -->\nold\n<!-- end: a -->\n2\n", encoding="utf-8")
    for _ in range(2):
        report.save(path)
        text = path.read_text(encoding="utf-8")
        assert text.startswith("1\n<!-- begin: a -->\n\n## Title")
        assert text.endswith("| new |\n\n<!-- end: a -->\n2\n")
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in SCRIPTS:
        if f"begin: {name} -->" in readme:
            assert f"python -m benchmarks.{name}" in readme
            assert readme.count(f"<!-- end: {name} -->\n") == 1
