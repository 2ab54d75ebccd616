"""Settings of the site; `make site` builds it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from psgd_ref import __version__

project, author, copyright = "psgd_ref", "The psgd_ref authors", "The psgd_ref authors, MIT licence"
version = release = __version__
language = "en"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.linkcode",
    "numpydoc",
    "myst_nb",
    "extensions.mathematics",
    "extensions.notebooks",
    "extensions.docstrings",
    "extensions.source_pages",
    "extensions.names",
    "extensions.playgrounds",
    "extensions.links",
    "extensions.images",
]

root_doc = "index"
# Pages of the site; what else is laid out beside them is what they link to.
include_patterns = [
    "*.md",
    "notebooks/*.md",
    "notebooks/**/*.md",
    "notebooks/*.ipynb",
    "theory/*",
    "findings/*.md",
    "reference/*",
    "methods/*",
    "playgrounds/*.md",
]
exclude_patterns = ["CODE_OF_CONDUCT.md"]

# Notebooks are shown as they were executed.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath", "attrs_block", "attrs_inline", "colon_fence"]
myst_heading_anchors = 4
myst_url_schemes = {"http": None, "https": None, "mailto": None, "source": None}
suppress_warnings = ["myst.header"]

# Everything but what belongs to other libraries has to be found.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!psgd_ref\b).*"),
    # Type variables, and bases that are private.
    (r"py:.*", r"psgd_ref\..*\.(_\w+|[A-Z]|Known|Scalar)"),
]
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {
    "members": True,
    # Of scikit-learn's making, with references into its own documentation.
    "exclude-members": "set_fit_request, set_score_request, set_predict_request, set_transform_request",
}
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"
add_module_names = False

templates_path = ["templates"]
html_theme = "pydata_sphinx_theme"
html_title = "psgd_ref"
html_favicon = "static/favicon.svg"
html_static_path = ["static"]
html_css_files = ["katex/katex.min.css", "site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 9,
    "show_toc_level": 2,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_context = {"default_mode": "auto"}
# Pages without others below them.
html_sidebars = {
    page: [] for page in ("index", "README", "ledger", "CONTRIBUTING", "CHANGELOG", "SECURITY", "source/**")
}


def linkcode_resolve(domain, info):
    """Where an object is defined, as an address that `extensions.links` resolves."""
    from extensions.source_pages import address_of

    return address_of(info["module"], info["fullname"]) if domain == "py" else None
