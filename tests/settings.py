"""What several files of tests share: settings of estimators, and small limits."""

import sys

import numpy as np


def limit(monkeypatch, **limits):
    """Set constants such as ``BLOCK`` wherever the package has them."""
    for name, value in limits.items():
        holders = [
            module
            for key, module in list(sys.modules.items())
            if key.partition(".")[0] == "skredu" and hasattr(module, name)
        ]
        assert holders or name == "CACHED", f"no module has {name}"
        for module in holders:
            monkeypatch.setattr(module, name, value)


def bytes_of(state):
    """Bytes of all arrays that an object holds, each counted once."""
    arrays, seen, left = {}, set(), [state]
    while left:
        item = left.pop()
        if isinstance(item, np.ndarray):
            arrays[item.__array_interface__["data"][0], item.nbytes] = item.nbytes
        elif isinstance(item, (dict, list, tuple)):
            left.extend(item.values() if isinstance(item, dict) else item)
        elif hasattr(item, "__dict__") and id(item) not in seen:
            seen.add(id(item))
            left.append(vars(item))
    return sum(arrays.values())
