"""Exports and verifies every model in every format from every backend.

    python benchmarks/export_matrix.py --output docs/export.md

One process per model and backend, all formats in it. A finished cell is a line of
`runs/export.jsonl`, so a stopped run goes on where it was. The table that --output gets
shows the largest difference from Keras of all backends.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.records import append_line, read_lines
from benchmarks.tables import table, with_part

BACKENDS = ("jax", "tensorflow", "torch")
FORMATS = ("tf_saved_model", "onnx", "litert", "openvino", "torch")
RECORD = Path("runs/export.jsonl")
MODELS = [f"T2TViT{name}" for name in (7, 10, 12, 14, 19, 24, "t14", "t19", "t24")]
BEGIN = "<!-- export table: written by benchmarks/export_matrix.py -->\n"
END = "<!-- end of the export table -->\n"


def export(name, *formats):
    """Exports one model in this process, and writes a line for every format."""
    import keras

    from keras_t2t import export_model
    from keras_t2t.export.formats import FORMATS as rows
    from keras_t2t.models.by_name import builder

    keras.utils.set_random_seed(0)
    model = builder(name)()
    enlarge_weights(model)
    for format in formats:
        cell = {"model": name, "format": format, "backend": keras.backend.backend()}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"model{rows[format].suffix}"
            try:
                report = export_model(model, path, format)
                cell["max_difference"] = report.verification.max_difference
                cell["seconds"] = round(report.seconds)
            except Exception as error:
                cell["error"] = f"{type(error).__name__}: {error}"
                print(cell["error"][:500], file=sys.stderr)
        append_line(RECORD, cell)


def enlarge_weights(model):
    """Makes the model's attention and logits as sharp as a trained one's.

    With its first weights all attention is nearly uniform, so that a file with a wrong
    softmax or wrong tokens would pass.
    """
    import numpy as np

    generator = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if len(variable.shape) == 2:
            scale = variable.shape[0] ** -0.5
            variable.assign(scale * generator.normal(size=variable.shape))


def read():
    """(model, format, backend) -> cell; the last line of each counts."""
    return {(c["model"], c["format"], c["backend"]): c for c in read_lines(RECORD)}


def matrix(cells):
    """Markdown, a row for each model."""
    rows = [[f"`{m}`", *(text(cells, m, f) for f in FORMATS)] for m in MODELS]
    return table(("model", *FORMATS), rows)


def text(cells, model, format):
    """The largest difference of the backends that passed, and those that did not."""
    found = [cells[key] for b in BACKENDS if (key := (model, format, b)) in cells]
    passed = [cell for cell in found if "error" not in cell]
    parts = []
    if passed:
        names = ", ".join(cell["backend"] for cell in passed)
        parts.append(f"{max(c['max_difference'] for c in passed):.0e} ({names})")
    failed = ", ".join(cell["backend"] for cell in found if "error" in cell)
    if failed:
        parts.append(f"**failed** ({failed})")
    return "; ".join(parts) or "not run"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, help="Markdown page with the table")
    parser.add_argument("--export", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.export:
        return export(*arguments.export)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    for model, backend in itertools.product(MODELS, BACKENDS):
        done = read()
        left = [
            format
            for format in FORMATS
            if "max_difference" not in done.get((model, format, backend), {})
        ]
        if left:
            command = [sys.executable, __file__, "--export", model, *left]
            subprocess.run(command, env={**os.environ, "KERAS_BACKEND": backend})
    cells = read()
    if arguments.output:
        page = with_part(arguments.output.read_text(), BEGIN, END, matrix(cells))
        arguments.output.write_text(page)
    else:
        print(matrix(cells))
    return any("error" in cell for cell in cells.values())


if __name__ == "__main__":
    sys.exit(main())
