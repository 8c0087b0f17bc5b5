"""How Sphinx builds the site, of the sources that `docs/site/assemble.py` gathers."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import observatory  # noqa: E402
import observatory.watch.online.lightning  # noqa: E402 - once, before Sphinx forks its readers

project = "observatory"
author = "The observatory developers"
copyright = author
version = release = observatory.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "docs.site.docstrings",
    "sphinx.ext.napoleon",
    "docs.site.mathml",
]
exclude_patterns = ["examples/*.py", "examples/results"]
html_theme = "furo"
html_title = f"observatory {release}"
html_static_path = [str(ROOT / "docs" / "site" / "static")]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

add_module_names = False
toc_object_entries = False  # a third of the time of a build
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False
napoleon_use_admonition_for_examples = False
python_maximum_signature_line_length = 88
