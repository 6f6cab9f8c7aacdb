"""Environment, array namespaces, and a check of the global random state."""

# ruff: noqa: E402

import os

# Both must be set before NumPy, SciPy or scikit-learn is imported: SciPy and
# scikit-learn read the first on import, and a thread pool a worker would make the
# workers of pytest-xdist fight for the cores.
os.environ["SCIPY_ARRAY_API"] = "1"
for _library in ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"

import gc
import importlib
import importlib.util
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import scipy
import sklearn

hypothesis.settings.register_profile(
    "skredu",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=40,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
# By hand: pytest -n0 tests/test_fuzz.py --hypothesis-profile=long
hypothesis.settings.register_profile(
    "long",
    deadline=None,
    database=None,
    max_examples=5000,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("skredu")


BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


class Backend:
    """Array namespace with ``asarray`` on one device; other names pass through.

    Arrays of NumPy are read-only.
    """

    def __init__(self, module, device=None):
        self._module = module
        self._device = device

    def __getattr__(self, name):
        return getattr(self._module, name)

    def asarray(self, values, *, dtype=None):
        """Return an array of the namespace; ``dtype`` may be a name."""
        if isinstance(dtype, str):
            dtype = getattr(self._module, dtype)
        if self._module is not np:
            return self._module.asarray(values, dtype=dtype, device=self._device)
        array = np.array(values, dtype=dtype)
        array.flags.writeable = False
        return array

    def to_numpy(self, array):
        """Return a NumPy copy of an array, which must be of this namespace."""
        assert isinstance(array, type(self.asarray([0.0])))
        if self._module is np:
            return np.array(array)
        if self._device is not None:
            assert array.device == self._device
            array = self._module.from_dlpack(array, device=self._cpu)
        return np.asarray(array)

    @property
    def _cpu(self):
        return self._module.__array_namespace_info__().default_device()


def _array_api_strict():
    import array_api_strict as xp

    return Backend(xp, xp.Device("device1"))


# These are the strictest cases: code that works with read-only arrays, and with arrays
# on another device than the default one, also works with all others.
BACKENDS = {"numpy": lambda: Backend(np)}
# scikit-learn dispatches only with SciPy 1.14 or newer.
if tuple(int(part) for part in scipy.__version__.split(".")[:2]) >= (1, 14):
    BACKENDS["array_api_strict"] = _array_api_strict
    if importlib.util.find_spec("torch") is not None:
        BACKENDS["torch"] = lambda: Backend(importlib.import_module("torch"))


@pytest.fixture(scope="module")
def module():
    """Import a module of the benchmarks, without the checkout on the path."""
    spec = importlib.util.spec_from_file_location(
        "benchmarks",
        BENCHMARKS / "__init__.py",
        submodule_search_locations=[str(BENCHMARKS)],
    )
    package = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    sys.modules["benchmarks"] = package
    spec.loader.exec_module(package)
    yield lambda name: importlib.import_module(f"benchmarks.{name}")
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "benchmarks":
            del sys.modules[name]


@pytest.fixture(params=list(BACKENDS))
def xp(request):
    """Yield an array namespace; dispatch is on unless it is NumPy."""
    with sklearn.config_context(array_api_dispatch=request.param != "numpy"):
        yield BACKENDS[request.param]()


@pytest.fixture(params=["float64", "float32"])
def dtype(request):
    """Return the name of a floating type."""
    return request.param


@pytest.fixture(autouse=True)
def _same_draws(request):
    """Let every test draw the same numbers, whichever tests ran before it."""
    if hasattr(request, "module") and hasattr(request.module, "RNG"):
        request.module.RNG = np.random.default_rng(0)


def pytest_collection_modifyitems(items):
    """Mark pages of the documentation as slow, and begin with the longest test."""
    for item in items:
        if item.path.suffix == ".rst":
            item.add_marker("slow")
    items.sort(key=lambda item: "quickstart" not in item.name)


def pytest_collection_finish():
    """Keep all that is there before the tests out of every garbage collection.

    Looking through thousands of collected tests took a tenth of the time of the suite.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call():
    """Check that no test changes NumPy's global random state.

    Around the call of the function itself, so that plugins which set the state
    between the phases of a test do not matter.
    """
    before = np.random.get_state()  # noqa: NPY002
    result = yield
    after = np.random.get_state()  # noqa: NPY002
    assert before[2:] == after[2:], "the test has used NumPy's global random state"
    np.testing.assert_array_equal(before[1], after[1])
    return result
