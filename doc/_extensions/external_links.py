"""Link to the pages of other packages without downloading their inventories.

Their addresses follow from the full name of what is meant. A name that neither skredu
nor this file knows stays unresolved, and the build fails, as it should. Methods that
estimators inherit have docstrings of scikit-learn, with its glossary and its labels in
them: what is not known there becomes plain text.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.util.nodes import get_node_source

# Start of a full name, and the address of its page.
PAGES = {
    "matplotlib.": "https://matplotlib.org/stable/api/_as_gen/{name}.html",
    "numpy.": "https://numpy.org/doc/stable/reference/generated/{name}.html",
    "pandas.": "https://pandas.pydata.org/docs/reference/api/{name}.html",
    "scipy.": "https://docs.scipy.org/doc/scipy/reference/generated/{name}.html",
    "sklearn.": "https://scikit-learn.org/stable/modules/generated/{name}.html",
}
# Modules and what has no page of its own name.
EXCEPTIONS = {
    "matplotlib.axes.Axes": "https://matplotlib.org/stable/api/axes_api.html",
    "matplotlib.figure.Figure": "https://matplotlib.org/stable/api/figure_api.html",
    "scipy.fft": "https://docs.scipy.org/doc/scipy/reference/fft.html",
    "sklearn.callback": "https://scikit-learn.org/stable/api/sklearn.callback.html",
}
# Labels in the docstrings that estimators inherit from scikit-learn, and the text to
# show where the docstring has none.
LABELS = {
    "accuracy_score": PAGES["sklearn."].format(name="sklearn.metrics.accuracy_score"),
    "metadata_routing": "https://scikit-learn.org/stable/metadata_routing.html",
    "sphx_glr_auto_examples_miscellaneous_plot_set_output.py": (
        "https://scikit-learn.org/stable/auto_examples/miscellaneous/plot_set_output.html"
    ),
}
TEXTS = {
    "sphx_glr_auto_examples_miscellaneous_plot_set_output.py": "an example",
}


def address(domain: str, name: str) -> str | None:
    """Return the address of a page of another package, None if it is unknown."""
    if domain != "py":
        return LABELS.get(name)
    if name in EXCEPTIONS:
        return EXCEPTIONS[name]
    for start, page in PAGES.items():
        if name.startswith(start):
            return page.format(name=name)
    return None


def is_inherited(node: Any) -> bool:
    """Return whether a reference is in a docstring of scikit-learn or its summary."""
    source = str(get_node_source(node))
    return "docstring of sklearn." in source or source.endswith("<autosummary>")


def resolve(_app: Any, _env: Any, node: Any, contents: Any) -> Any:
    """Make the link, or leave the name to other extensions."""
    target = address(node.get("refdomain", ""), node["reftarget"])
    if target is None:
        return contents if is_inherited(node) else None
    text = TEXTS.get(node["reftarget"])
    shown = nodes.inline("", text) if text else contents
    return nodes.reference("", "", shown, internal=False, refuri=target)


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
