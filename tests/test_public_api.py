"""The public API: names, signatures, docstrings and the cost of imports."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate
from sklearn.utils import all_estimators

import skredu

NAMES = [
    "CodingGainSelector",
    "CompressionClustering",
    "CompressionOutlierDetector",
    "ConvolutionalLifting",
    "DilatedKernelTransformer",
    "InvariantReduNetClassifier",
    "InvariantReduNetTransformer",
    "MCR2Transformer",
    "MICLClassifier",
    "NearestSubspaceClassifier",
    "PolarTransformer",
    "ReduNetClassifier",
    "ReduNetTransformer",
    "ScatteringTransformer",
    "__version__",
    "datasets",
    "image",
    "make_invariant_pipeline",
    "metrics",
    "plotting",
    "rates",
]
MODULE_NAMES = {
    "datasets": ["make_gaussians_on_sphere", "make_shifted_signals", "make_subspaces"],
    "image": ["CompressionSegmenter", "compression_segmenter"],
    "metrics": [
        "boundary_f_score",
        "class_similarity",
        "clustering_accuracy",
        "coding_length_score",
        "global_consistency_error",
        "label_quality",
        "probabilistic_rand_index",
        "rate_reduction_score",
        "segmentation_covering",
        "variation_of_information",
    ],
    "plotting": [
        "BitsDisplay",
        "EpsilonPathDisplay",
        "FilterDisplay",
        "LabelQualityDisplay",
        "MergeTreeDisplay",
        "PrincipalSamplesDisplay",
        "RateReductionDisplay",
        "SegmentationPathDisplay",
        "SimilarityDisplay",
        "SparseRateReductionDisplay",
        "SubspaceSpectrumDisplay",
    ],
    "rates": [
        "class_coding_rate",
        "coding_length",
        "coding_rate",
        "partition_coding_length",
        "rate_reduction",
        "rate_reduction_gradient",
    ],
}
ESTIMATORS = [name for name in NAMES if inspect.isclass(getattr(skredu, name, None))]
ESTIMATORS.append("image.CompressionSegmenter")
DISPLAYS = [f"plotting.{name}" for name in MODULE_NAMES["plotting"]]
FUNCTIONS = [
    f"{module}.{name}"
    for module, names in MODULE_NAMES.items()
    for name in names
    if module != "plotting" and f"{module}.{name}" not in ESTIMATORS
]
FUNCTIONS.append("make_invariant_pipeline")


def find(dotted):
    """Return an object by its dotted name below skredu."""
    found = skredu
    for part in dotted.split("."):
        found = getattr(found, part)
    return found


def methods():
    """Yield the public methods that skredu defines, as dotted names."""
    for name in ESTIMATORS:
        for kind in find(name).__mro__:
            if kind.__module__.partition(".")[0] == "skredu":
                for method, value in vars(kind).items():
                    # partial_fit hides behind a descriptor
                    if not method.startswith("_") and (
                        inspect.isfunction(value) or hasattr(value, "attribute_name")
                    ):
                        yield f"{name}.{method}"


METHODS = sorted(set(methods()))
DISPLAY_METHODS = [
    f"{display}.{method}"
    for display in DISPLAYS
    for method in ("from_estimator", "from_predictions", "plot", "frame")
    if hasattr(getattr(skredu.plotting, display.partition(".")[2]), method)
]
# Parameters that may come by position, where they are not just one.
LEADING = {
    "ConvolutionalLifting": 2,  # n_filters, kernel_size
    "InvariantReduNetClassifier": 3,  # as without shifts
    "InvariantReduNetTransformer": 3,
    "PolarTransformer": 3,  # image_shape, n_radii, n_angles
    "ReduNetClassifier": 3,  # n_layers, epsilon, eta
    "ReduNetTransformer": 3,
    "ScatteringTransformer": 2,  # n_scales, n_angles
}
# What numpydoc may not ask for: an extended summary, text on a line of its own, "See
# Also" and its descriptions, unnamed results. Examples are asked for below, of what
# stands alone.
LENIENT = {"ES01", "EX01", "GL01", "SA01", "SA04", "RT02"}


def doc_of(dotted):
    return NumpyDocString(inspect.cleandoc(find(dotted).__doc__))


def documented(dotted, section="Parameters"):
    """Return the names in a section of a docstring; several may share an entry."""
    entries = doc_of(dotted)[section]
    return [name.strip() for entry in entries for name in entry.name.split(",")]


def parameters(dotted):
    names = inspect.signature(find(dotted)).parameters
    return [name for name in names if name != "self"]


# -- names ----------------------------------------------------------------------------


def test_package_exports_these_names():
    assert sorted(skredu.__all__) == sorted(NAMES)
    assert all(hasattr(skredu, name) for name in skredu.__all__)
    assert len(skredu.__doc__) > 20


@pytest.mark.parametrize("module", MODULE_NAMES)
def test_module_exports_these_names(module):
    found = getattr(skredu, module)
    assert sorted(found.__all__) == sorted(MODULE_NAMES[module])
    for name in found.__all__:
        is_class = module == "plotting" or f"{module}.{name}" in ESTIMATORS
        kind = inspect.isclass if is_class else inspect.isfunction
        assert kind(getattr(found, name)), name


EXTRAS = ("skredu.dask", "skredu.onnx", "skredu.torch")


def test_every_estimator_of_the_package_is_exported():
    found = set()
    for module in pkgutil.walk_packages(skredu.__path__, "skredu."):
        if module.name.startswith(EXTRAS):  # they need other packages
            continue
        values = vars(importlib.import_module(module.name)).items()
        found |= {name for name, value in values if is_estimator(value)}
    found -= {name for name in found if name.startswith("Base")}
    assert found == {name.rpartition(".")[2] for name in ESTIMATORS}


def is_estimator(value):
    ours = inspect.isclass(value) and value.__module__.partition(".")[0] == "skredu"
    return ours and hasattr(value, "get_params") and hasattr(value, "fit")


def test_scikit_learn_does_not_list_the_estimators_as_its_own():
    assert not {name for name, _ in all_estimators()} & set(ESTIMATORS)


def test_version_is_a_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+([.-]?(a|b|rc|dev)\d*)?", skredu.__version__)


def test_version_is_that_of_the_distribution():
    metadata = importlib.import_module("importlib.metadata")
    try:
        assert metadata.version("skredu") == skredu.__version__
    except metadata.PackageNotFoundError:
        assert "site-packages" not in skredu.__file__  # a checkout, not installed


# -- signatures -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ESTIMATORS)
def test_parameters_are_documented_in_their_order_and_validated(name):
    assert documented(name) == parameters(name)
    assert set(find(name)._parameter_constraints) == set(parameters(name))
    # only leading ones may come by position
    leading = LEADING.get(name, 1)
    kinds = [p.kind for p in inspect.signature(find(name)).parameters.values()]
    assert set(kinds[:leading]) == {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert set(kinds[leading:]) == {inspect.Parameter.KEYWORD_ONLY}
    link = find(name)()._get_doc_link()
    assert link.startswith("https://skredu.")
    assert link.endswith(f"{name}.html")


@pytest.mark.parametrize("name", ESTIMATORS)
def test_fitted_attributes_are_documented_and_documented_ones_exist(name):
    import pandas as pd

    X = pd.DataFrame({"a": [0.0, 1.0, 5.0, 7.0], "b": [1.0, 0.0, 5.0, 4.0]})
    if name.startswith("image."):
        X = [[0.0, 1.0], [1.0, 0.0]]
    public = set()
    kernels = [{"kernel": kernel} for kernel in ("linear", "rbf", "auto")]
    for settings in kernels if name == "MICLClassifier" else [{}]:
        seed = {"random_state": 0} if "random_state" in parameters(name) else {}
        model = find(name)(**settings, **seed).fit(X, [0, 0, 1, 1])
        properties = inspect.getmembers(type(model), lambda v: isinstance(v, property))
        keys = [*vars(model), *dict(properties)]
        public |= {key for key in keys if key.endswith("_") and key[0] != "_"}
    assert public == set(documented(name, "Attributes"))


# -- docstrings -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [*ESTIMATORS, *METHODS, *FUNCTIONS, *DISPLAYS, *DISPLAY_METHODS]
)
def test_docstring_and_signature(name):
    report = validate(f"skredu.{name}")
    assert [error for error in report["errors"] if error[0] not in LENIENT] == []
    signature = inspect.signature(find(name))
    for entry in doc_of(name)["Parameters"]:
        if name not in DISPLAYS and "default=" in entry.type:
            default = ast.literal_eval(entry.type.partition("default=")[2])
            assert signature.parameters[entry.name].default == default, entry.name
    if name in FUNCTIONS:  # options come by keyword
        by_place = inspect.Parameter.POSITIONAL_OR_KEYWORD
        places = [p.kind is by_place for p in signature.parameters.values()]
        assert places == sorted(places, reverse=True)
    if name in DISPLAYS:
        attributes = set(find(name).__annotations__) | {"ax_", "figure_"}
        assert set(documented(name, "Attributes")) == attributes
    if name in [*FUNCTIONS, *DISPLAYS, *DISPLAY_METHODS]:
        stars = {"VAR_KEYWORD": "**"}
        found = [
            stars.get(p.kind.name, "") + p.name for p in signature.parameters.values()
        ]
        assert documented(name) == [key for key in found if key != "self"]
    if name in [*FUNCTIONS, *METHODS, *DISPLAY_METHODS]:
        assert signature.return_annotation is not inspect.Signature.empty
        for key, parameter in signature.parameters.items():
            assert key == "self" or parameter.annotation is not parameter.empty
    if name in [*METHODS, *FUNCTIONS] or (".from_" in name and name in DISPLAY_METHODS):
        assert [entry.type for entry in doc_of(name)["Raises"]][:1] == ["ValueError"]
    if name not in DISPLAYS and name not in METHODS and "epsilon" in parameters(name):
        # it is a length where published code has its square
        (entry,) = [e for e in doc_of(name)["Parameters"] if e.name == "epsilon"]
        assert "square" in " ".join(entry.desc)


@pytest.mark.parametrize("extra", EXTRAS)
def test_parameters_of_extras_are_documented_in_their_order_with_their_types(extra):
    # their files are read, since they cannot be imported without other packages
    folder = Path(skredu.__file__).parent / extra.rpartition(".")[2]
    nodes = [
        node
        for file in sorted(folder.glob("*.py"))
        for node in ast.parse(file.read_text(encoding="utf-8")).body
    ]
    names = [
        ast.literal_eval(node.value)
        for node in nodes
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
    ]
    defined = {node.name: node for node in nodes if hasattr(node, "name")}
    assert len(names) == 1
    for name in names[0]:
        entries = NumpyDocString(ast.get_docstring(defined[name]))["Parameters"]
        function = defined[name]
        if isinstance(function, ast.ClassDef):
            body = {getattr(node, "name", None): node for node in function.body}
            function = body["__init__"]
        arguments = [*function.args.args, *function.args.kwonlyargs]
        expected = [argument.arg for argument in arguments if argument.arg != "self"]
        found = [part for entry in entries for part in entry.name.split(", ")]
        assert found == expected, name
        assert all(entry.type for entry in entries), name


def test_formulas_are_indented_below_their_directive():
    # Sphinx shows others as text, without an error
    for file in Path(skredu.__file__).parent.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        blocks = re.findall(r"^( *)\.\. math::\n\n( *)", text, re.MULTILINE)
        assert all(len(inner) > len(outer) for outer, inner in blocks), file


@pytest.mark.parametrize("name", [*ESTIMATORS, *FUNCTIONS, *DISPLAYS])
def test_what_stands_alone_knows_its_module_and_has_an_example_that_imports_it(name):
    module, _, last = f"skredu.{name}".rpartition(".")
    assert (find(name).__module__, find(name).__qualname__) == (module, last)
    example = "\n".join(doc_of(name)["Examples"])
    assert ">>>" in example
    assert re.search(rf"import .*{name.rsplit('.')[-1]}", example)


@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
def test_examples_of_an_estimator_and_its_methods_run(name):
    # pytest looks for examples where a class is written, not where it says that it is
    runner = doctest.DocTestRunner(
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    )
    found = doctest.DocTestFinder(exclude_empty=True).find(
        find(name), name, module=False
    )
    assert next(test.name for test in found if test.examples) == name
    report = []
    for test in found:
        runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


# -- import ---------------------------------------------------------------------------


def run(code):
    """Return what a new interpreter prints; it imports the same skredu as the tests."""
    path = [part for part in sys.path if part]
    code = f"import sys; sys.path[:] = {path!r}\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.slow
def test_import_adds_little_to_that_of_scikit_learn_and_loads_names_on_first_use():
    # In time of the processor, beside that of what skredu uses: both are slower on a
    # busy machine. All estimators at once, so each of them too.
    code = """
import time
start = time.process_time()
import sklearn.neighbors, sklearn.metrics.pairwise, sklearn.utils.multiclass
import sklearn.datasets, sklearn.cluster, numpy as np
import scipy.linalg, scipy.special, scipy.optimize, scipy.fft, scipy.cluster.hierarchy
others = time.process_time()
before, state = set(sys.modules), np.random.get_state()[1].tolist()
import skredu
package = time.process_time()
import skredu.plotting, skredu.image
loaded = set(sys.modules) - before
names = "CompressionClustering" in dir(skredu), "skredu.clustering" in sys.modules
skredu.CompressionClustering
print(*names, "skredu.clustering" in sys.modules, "skredu.redunet" in sys.modules)
from skredu import *
print((package - others) / (others - start))
print((time.process_time() - others) / (others - start))
print(state == np.random.get_state()[1].tolist(), *loaded)
"""
    listed, early, late, other, package, everything, same, *loaded = run(code)
    assert (listed, early, late, other) == ("True", "False", "True", "False")
    assert same == "True"
    assert float(package) < 0.01
    assert float(everything) < 0.25
    loaded = {name.split(".")[0] for name in loaded}
    assert "skredu" in loaded
    # no plotting and no data frames, but for those that scikit-learn loads
    assert not loaded & {"matplotlib", "pandas", "polars", "torch", "hypothesis"}
    assert not loaded & {"dask", "skimage"}
    with pytest.raises(AttributeError, match="no attribute 'Micl'"):
        _ = skredu.Micl
