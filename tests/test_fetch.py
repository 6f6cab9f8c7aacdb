"""Data sets are fetched from a server on this machine, converted and compared."""

import gzip
import hashlib
import http.server
import io
import json
import sys
import tarfile
import threading
import types
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

FOLDER = Path(__file__).parents[1] / "benchmarks"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="needs a checkout")
RNG = np.random.default_rng(0)
ARFF = """@relation fruit
@attribute size numeric
@attribute kind {'red one', green}
@attribute Feature_0 real
@data
1,'red one',0.5
?,green,0.25
3,?,0.125
"""


@pytest.fixture(scope="module")
def fetch():
    sys.path.insert(0, str(FOLDER.parent))
    from benchmarks import fetch

    sys.path.pop(0)
    return fetch


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Serve a folder, which tests fill, and return it with its address."""
    folder = tmp_path_factory.mktemp("server")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture
def get(fetch, server, tmp_path):
    """Return a function that fetches a data set from files with the given contents."""
    folder, address = server

    def result(name, files, *options):
        (folder / name).mkdir(exist_ok=True)
        for file, content in files.items():
            (folder / name / file).write_bytes(content)
        arguments = [name, "--data", str(tmp_path), "--source", address, *options]
        assert fetch.main(arguments) == 1  # it is not the data of the tables
        return fetch.load(tmp_path / fetch.SOURCES[name].file)

    return result


def zipped(files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, part in files.items():
            archive.writestr(name, part)
    return content.getvalue()


def drawn(image, kind):
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(image).save(content, kind)
    return content.getvalue()


def mat(**content):
    file = io.BytesIO()
    savemat(file, content)
    return file.getvalue()


def text(table):
    return "\n".join(" ".join(map(str, row)) for row in table).encode()


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(head + array.tobytes())


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_images_of_four_files(get, name):
    X, y = RNG.integers(256, size=(5, 4, 3)).astype("u1"), np.arange(5, dtype="u1")
    found = get(
        name,
        {
            "train-images-idx3-ubyte.gz": idx(X),
            "train-labels-idx1-ubyte.gz": idx(y),
            "t10k-images-idx3-ubyte.gz": idx(X[:2]),
            "t10k-labels-idx1-ubyte.gz": idx(y[:2]),
        },
    )
    np.testing.assert_array_equal(found["X_train"], X)
    np.testing.assert_array_equal(found["y_train"], y)
    np.testing.assert_array_equal(found["X_test"], X[:2])
    np.testing.assert_array_equal(found["y_test"], y[:2])


def test_digits_of_letters(get):
    rows = np.column_stack([[6, 0], np.full((2, 256), -1.0)])
    rows[0, 2] = 0.123
    packed = gzip.compress(text(rows))
    found = get("usps", {"zip.train.gz": packed, "zip.test.gz": packed})
    assert found["X_train"].shape == (2, 16, 16)
    assert found["X_train"][0, 0, :2].tolist() == [-1000, 123]
    assert found["y_test"].tolist() == [6, 0]


def test_faces_without_ambient_light(get):
    image = np.kron(np.arange(4).reshape(2, 2), np.ones((4, 4))).astype("u1") * 40
    path = "CroppedYale/yaleB{}/yaleB{}_P00A{}E{}.pgm"
    files = {
        path.format("02", "02", "-110", "+40"): drawn(image, "PPM"),
        path.format("01", "01", "+005", "-10"): drawn(image.T, "PPM"),
        "CroppedYale/yaleB01/yaleB01_P00_Ambient.pgm": b"",
        "CroppedYale/yaleB01/yaleB01_P00A+000E+00.pgm.bad": b"",
    }
    found = get("extended_yale_b", {"CroppedYale.zip": zipped(files)})
    assert found["X"].tolist() == [[[0, 80], [40, 120]], [[0, 40], [80, 120]]]
    assert found["y"].tolist() == [0, 1]
    assert found["azimuth"].tolist() == [5, -110]
    assert found["elevation"].tolist() == [-10, 40]


def test_objects_in_the_order_of_their_views(get):
    images = [np.full((8, 4), 10 * i, "u1") for i in range(3)]
    files = {
        f"coil-20-proc/obj{name}.png": drawn(image, "PNG")
        for name, image in zip(["2__0", "1__10", "1__9"], images, strict=True)
    }
    found = get("coil20", {"coil-20-proc.zip": zipped(files)})
    assert found["X"][:, 0, 0].tolist() == [320, 160, 0]
    assert found["y"].tolist() == [0, 0, 1]


def test_motions(fetch, get):
    entry = {"x": RNG.random((3, 4, 5)), "s": np.array([[2], [2], [1], [1]])}
    entry |= {"K": np.eye(3), "width": 640, "height": 480}
    names = ["1R2RC", "cars1", "arm", "never_measured"]
    archive = zipped({f"H/{name}/{name}_truth.mat": mat(**entry) for name in names})
    found = get("hopkins155", {"Hopkins155.zip": archive})
    assert found["names"].tolist() == ["1R2RC", "arm", "cars1"]
    assert found["category"].tolist() == ["checkerboard", "other", "traffic"]
    np.testing.assert_array_equal(found["x/arm"], entry["x"][:2].astype("f4"))
    assert found["s/arm"].tolist() == [1, 1, 0, 0]
    assert found["n_motions"].tolist() == [2, 2, 2]
    found = get("hopkins155", {"Hopkins155.zip": archive}, "--all")
    assert "never_measured" in found["names"]


def test_photographs(get):
    image, content = np.full((16, 24, 3), 90, "u1"), io.BytesIO()
    truth = np.repeat([[1, 2]], 16, axis=0).repeat(12, axis=1).astype("u2")
    cell = np.empty((1, 2), dtype=object)
    for i in range(2):
        cell[0, i] = {"Segmentation": np.maximum(truth - i, 1)}
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name in ["test/8068", "train/56028", "test/1"]:
            for path, part in [
                (f"BSR/data/images/{name}.jpg", drawn(image, "JPEG")),
                (f"BSR/data/groundTruth/{name}.mat", mat(groundTruth=cell)),
            ]:
                member = tarfile.TarInfo(path)
                member.size = len(part)
                archive.addfile(member, io.BytesIO(part))
    found = get("bsds500_subset", {"BSR_bsds500.tgz": content.getvalue()})
    assert found["ids"].tolist() == ["8068", "56028"]
    assert found["split"].tolist() == ["test", "train"]
    np.testing.assert_array_equal(found["img/8068"], image)
    np.testing.assert_array_equal(found["seg/8068"], [truth - 1, 0 * truth])


def test_series(fetch, get):
    rows = [[-1, 0.5, 1.5], [1, 2.5, 3.5]]
    files = {}
    for address in fetch.SOURCES["ucr_time_series"].addresses:
        name = Path(address).stem
        parts = {f"{name}_{part}.txt": text(rows) for part in ("TRAIN", "TEST")}
        files[f"{name}.zip"] = zipped(parts)
    found = get("ucr_time_series", files)
    assert found["names"][0] == "Beef"
    assert found["Beef/classes"].tolist() == [-1, 1]
    assert found["Beef/y_train"].tolist() == [0, 1]
    assert found["Beef/X_test"].tolist() == [[0.5, 1.5], [2.5, 3.5]]


def test_genes(get, monkeypatch):
    def read_rda(path):
        entry = {"x": np.arange(6.0).reshape(3, 2), "y": ["t", "n", "t"]}
        return {path.stem: entry}

    fake = types.ModuleType("rdata")
    fake.read_rda = read_rda
    monkeypatch.setitem(sys.modules, "rdata", fake)
    files = {f"{name}.RData": b"-" for name in ["alon", "golub", "singh"]}
    files |= {"shipp.RData": b"-", "su.RData": b"-"}
    files |= {"khan.xtrain": b"1 2 3\n4 5 6", "khan.ytrain": b"2 4 1"}
    files |= {"khan.xtest": b"7 8\n9 0", "khan.ytest": b"3 NA"}
    files["nci.data.csv"] = b'"","s1","s2"\n"1",0.5,-1\n"2",1.5,-2\n'
    files["nci.label.txt"] = b"CNS\nBREAST\n"
    found = get("microarray", files)
    assert found["alon/class_names"].tolist() == ["n", "t"]
    assert found["alon/y"].tolist() == [1, 0, 1]
    assert found["khan/X"].tolist() == [[1, 4], [2, 5], [3, 6], [7, 9]]
    assert found["khan/class_names"][found["khan/y"]].tolist() == [
        "EWS",
        "RMS",
        "BL",
        "NB",
    ]
    assert found["khan/is_train"].tolist() == [True, True, True, False]
    assert found["nci60/X"].tolist() == [[0.5, 1.5], [-1, -2]]


def description(**facts):
    return json.dumps({"data_set_description": facts}).encode()


def test_tables_of_openml(get):
    facts = {"url": "https://example.org/x", "default_target_attribute": "kind"}
    facts["md5_checksum"] = hashlib.md5(ARFF.encode()).hexdigest()
    found = get(
        "glass", {"glass.json": description(**facts), "glass.arff": ARFF.encode()}
    )
    assert found.columns.tolist() == ["size", "Feature_0", "target"]
    assert found["size"].tolist()[::2] == [1, 3]
    assert found["target"].tolist()[:2] == ["red one", "green"]
    assert found.isna().to_numpy().tolist() == [
        [False, False, False],
        [True, False, False],
        [False, False, True],
    ]
    vowels = {"vowel.json": description(**facts), "vowel.arff": ARFF.encode()}
    assert get("vowel", vowels).columns.tolist() == ["Feature_0", "target"]


def test_a_damaged_table_is_refused_and_removed(get, tmp_path):
    facts = {"default_target_attribute": "kind", "md5_checksum": "0", "url": ""}
    files = {"ecoli.json": description(**facts), "ecoli.arff": ARFF.encode()}
    with pytest.raises(ValueError, match=r"ecoli.arff has the MD5 sum .*, but OpenML"):
        get("ecoli", files)
    assert not (tmp_path / "originals" / "ecoli" / "ecoli.arff").exists()


def test_tables_of_text_files(get):
    row = "39, State-gov, 77516, Bachelors, 13, ?, A, B, C, D, 0, 0, 40, Cuba, <=50K\n"
    found = get("adult_subset", {"adult.data": 3 * row.encode()})
    assert found.shape == (3, 15)
    assert found["target"].tolist() == ["<=50K"] * 3
    assert found["marital_status"].isna().all()
    found = get("titanic", {"titanic.csv": b'Survived,Name\n1,"A, B"\n0,\n'})
    assert found.columns.tolist() == ["Name", "target"]


def test_an_address_without_the_file(fetch, server, tmp_path):
    with pytest.raises(
        SystemExit, match=r"zip.train.gz: .*404.*put it into .*usps as zip"
    ):
        fetch.main(["usps", "--data", str(tmp_path), "--source", f"{server[1]}/no"])
    assert not list(tmp_path.rglob("*.gz"))


def test_a_file_that_came_in_part_is_refused_and_removed(fetch, tmp_path, monkeypatch):
    class Answer(io.BytesIO):
        headers = types.MappingProxyType({"Content-Length": "10"})

    monkeypatch.setattr(fetch, "urlopen", lambda *_, **__: Answer(b"abc"))
    with pytest.raises(SystemExit, match=r"3 bytes came, but 10 were announced"):
        fetch.main(["usps", "--data", str(tmp_path)])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_is_compared(fetch, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fetch, "FINGERPRINTS", tmp_path / "known.json")
    (tmp_path / "known.json").write_text("{}", encoding="utf-8")
    content = {"X": RNG.random((4, 3)), "y": np.arange(4), "names": np.array(["a"])}
    arguments = ["coil20", "--data", str(tmp_path)]
    fetch.save(content, tmp_path / "coil20.npz")
    assert fetch.main([*arguments, "--record"]) == 0
    fetch.save({**content, "X": content["X"].astype("f4")}, tmp_path / "coil20.npz")
    assert fetch.main([*arguments, "--check"]) == 0
    changed = {
        "X": content["X"][::-1],
        "y": content["y"][::-1],
        "names": np.array(["b"]),
    }
    for key, value in changed.items():
        fetch.save({**content, key: value}, tmp_path / "coil20.npz")
        assert fetch.main([*arguments, "--check"]) == 1
        assert f"differs in 1 of 3 entries: {key}" in capsys.readouterr().out
    table = pd.DataFrame({"a": [1.5, np.nan], "b": ["x", "y"], "target": [0, 1]})
    fetch.save(table, tmp_path / "tabular" / "glass.csv")
    assert fetch.main(["glass", "--data", str(tmp_path), "--record"]) == 0
    assert fetch.main(["glass", "--data", str(tmp_path), "--check"]) == 0
    assert fetch.main(["glass", "--data", str(tmp_path / "none"), "--check"]) == 1
    assert "glass: there is no file" in capsys.readouterr().out


def test_every_source_has_an_address_and_a_converter(fetch, capsys):
    assert fetch.main(["--list"]) == 0
    shown = capsys.readouterr().out
    known = json.loads(fetch.FINGERPRINTS.read_text(encoding="utf-8"))
    assert set(known) == set(fetch.SOURCES)
    for source in fetch.SOURCES.values():
        assert callable(getattr(fetch._convert, source.convert))
        assert all(address in shown for address in source.addresses)
        assert all(address.startswith("http") for address in source.addresses)
    with pytest.raises(SystemExit):
        fetch.main(["no_such_set"])
    assert "unknown data sets: no_such_set" in capsys.readouterr().err
