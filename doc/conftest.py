"""The examples of the page on networks need PyTorch."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("torch") else ["guide/networks.rst"]
