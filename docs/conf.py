"""The site: `pip install -e ".[docs]" && sphinx-build -W docs site`.

The notebooks are run while it is built, at a small size unless NOTEBOOK_SIZE=full;
NOTEBOOKS=off leaves them out for a quick look.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("NOTEBOOK_SIZE", "small")

project = "keras_t2t"
copyright = "The keras_t2t developers, Apache-2.0"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "keras_t2t"
html_static_path = []

# === Markdown ===
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]

# === Docstrings ===
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings tell more
napoleon_use_rtype = False


def setup(app):
    app.connect("autodoc-process-docstring", plain_to_rst, priority=400)


def plain_to_rst(app, what, name, obj, options, lines):
    """Shapes as paragraphs of their own, and no markup in formulas."""
    paragraphs = []
    for line in lines:
        line = line.replace("|", "\\|")
        if paragraphs and paragraphs[-1].startswith("**") and line.startswith("    "):
            paragraphs[-1] += " " + line.strip()
        elif line.startswith(("Input shape: ", "Output shape: ")):
            shape, _, rest = line.partition(": ")
            paragraphs += ["", f"**{shape}**: {rest}"]
        else:
            if paragraphs and paragraphs[-1].startswith("**"):
                paragraphs.append("")
            paragraphs.append(line)
    lines[:] = paragraphs


# === Notebooks ===
nb_execution_mode = "off" if os.environ.get("NOTEBOOKS") == "off" else "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 180 if os.environ["NOTEBOOK_SIZE"] == "small" else 3600
nb_merge_streams = True
nb_output_stderr = "remove"  # of libraries; an error still ends the build
