"""Settings of the documentation site; how to build it is in CONTRIBUTING.md."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from joblib import cpu_count

import skredu

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "skredu"
author = "skredu developers"
project_copyright = "skredu developers, BSD-3-Clause licence"
version = release = skredu.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # formulas without a network
    "docstring_types",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "external_links",
    "folded_tables",
    "gallery_figure",
]
# "generated/backreferences" and the gallery contain parts that other pages include.
exclude_patterns = ["_build", "_templates", "generated/backreferences", "**/README.rst"]
templates_path = ["_templates"]
nitpicky = True
# A name in single backquotes is a link to an object of this package.
default_role = "py:obj"
add_function_parentheses = False
smartquotes_action = "De"  # dashes and dots; quotes around strings stay as they are
toc_object_entries_show_parents = "hide"

# -- reference ------------------------------------------------------------------------

autosummary_generate = True
# The pages of modules that need an extra are made with and without it.
EXTRAS = ("dask", "onnx", "skl2onnx", "torch")
autodoc_mock_imports = [name for name in EXTRAS if not find_spec(name)]
autodoc_typehints = "none"  # numpydoc shows the types as they are documented
# What networks inherit from PyTorch is not ours to describe.
autodoc_default_options = {"members": True, "inherited-members": "Module"}
NETWORKS = (
    "CRATEBlock",
    "MCR2Loss",
    "SparseCodingStep",
    "SubspaceAttention",
    "TokenStatisticsAttention",
)
numpydoc_show_inherited_class_members = {
    f"skredu.torch.{name}": False for name in NETWORKS
}
numpydoc_class_members_toctree = False
# Parameter types are described in words, so there is nothing to link to.
numpydoc_xref_param_type = False

# -- markdown -------------------------------------------------------------------------

# CHANGELOG.md and CONTRIBUTING.md are included here, and also read on GitHub.
myst_heading_anchors = 3

# -- gallery --------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    # Examples that need PyTorch are shown without their output if there is none.
    "filename_pattern": r"plot_" if find_spec("torch") else r"plot_(?!torch_)",
    "ignore_pattern": r"quickstart\.py|__init__\.py",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skredu",),
    "reference_url": {"skredu": None},
    "parallel": cpu_count(),
    "reset_modules": ("matplotlib", "gallery_run.strict"),
    "reset_modules_order": "both",
    "subsection_order": [
        f"../examples/{name}"
        for name in ("classify", "cluster", "tables", "images", "signals", "networks")
    ],
    "within_subsection_order": "gallery_order.Order",
    "remove_config_comments": True,
    "thumbnail_size": (560, 392),
    "capture_repr": ("_repr_html_",),  # tables, but not "Text(0.5, 0.99, ...)"
    "show_memory": False,
    "write_computation_times": False,
    "show_signature": False,
    "min_reported_time": 1,
}

# -- pages ----------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "skredu"
html_baseurl = "https://skredu.readthedocs.io/en/stable/"
html_static_path = ["_static"]
html_favicon = "_static/logo.svg"
html_css_files = ["skredu.css"]
html_js_files = ["scroll_hints.js"]
html_domain_indices = False  # nine modules, which the reference lists
html_copy_source = False
html_show_sourcelink = False
html_sidebars = {
    "install": [],
    "tour": [],
    "whats_new": [],
    "references": [],
}
html_theme_options = {
    "logo": {
        "text": "skredu",
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
        "alt_text": "skredu",
    },
    # Read the Docs builds "latest" and "stable", and says which one it is.
    "switcher": {
        "json_url": "_static/switcher.json",
        "version_match": os.environ.get("READTHEDOCS_VERSION", "latest"),
    },
    "navbar_end": ["version-switcher", "theme-switcher", "navbar-icon-links"],
    "github_url": "https://github.com/skredu/skredu",
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
