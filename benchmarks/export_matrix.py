"""Exports and verifies every model in every format from every backend.

    python benchmarks/export_matrix.py --output docs/export.md

One process per model and backend, all formats in it. A finished cell is a line of
--record, so a stopped run goes on where it was. The table that --output gets shows the
largest difference from Keras of those backends that were run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
BACKENDS = ("jax", "tensorflow", "torch")
FORMATS = ("tf_saved_model", "onnx", "litert", "openvino", "torch")
MODELS = [f"T2TViT{name}" for name in (7, 10, 12, 14, 19, 24, "t14", "t19", "t24")]
BEGIN = "<!-- export table: written by benchmarks/export_matrix.py -->"
END = "<!-- end of the export table -->"


def export(name, formats, record):
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
        with record.open("a") as file:
            file.write(json.dumps(cell) + "\n")


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


def read(record):
    """(model, format, backend) -> cell; the last line of each counts."""
    if not record.exists():
        return {}
    cells = map(json.loads, record.read_text().splitlines())
    return {(c["model"], c["format"], c["backend"]): c for c in cells}


def table(cells):
    yield f"| model | {' | '.join(FORMATS)} |"
    yield f"| --- | {' | '.join(['---'] * len(FORMATS))} |"
    for model in dict.fromkeys(model for model, _, _ in cells):
        yield f"| `{model}` | {' | '.join(text(cells, model, f) for f in FORMATS)} |"


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


def write_table(path, cells):
    page = path.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = "\n".join(table(cells))
    after = after.strip("\n")
    path.write_text(f"{before.rstrip()}\n\n{BEGIN}\n\n{rows}\n\n{END}\n{after}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--formats", nargs="+", default=FORMATS, choices=FORMATS)
    parser.add_argument("--backends", nargs="+", default=BACKENDS, choices=BACKENDS)
    parser.add_argument("--record", type=Path, default=Path("runs/export.jsonl"))
    parser.add_argument("--output", type=Path, help="Markdown page with the table")
    parser.add_argument("--export", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.export:
        export(arguments.export, arguments.formats, arguments.record)
        return 0
    arguments.record.parent.mkdir(parents=True, exist_ok=True)
    for model in arguments.models:
        for backend in arguments.backends:
            done = read(arguments.record)
            left = [
                f
                for f in arguments.formats
                if "max_difference" not in done.get((model, f, backend), {})
            ]
            if left:
                subprocess.run(
                    [
                        *(sys.executable, __file__, "--export", model),
                        *("--record", arguments.record, "--formats", *left),
                    ],
                    check=False,
                    env={
                        **os.environ,
                        "KERAS_BACKEND": backend,
                        "PYTHONPATH": str(ROOT),
                        "TF_CPP_MIN_LOG_LEVEL": "2",
                    },
                )
    cells = read(arguments.record)
    if arguments.output:
        write_table(arguments.output, cells)
    else:
        print(*table(cells), sep="\n")
    return int(any("error" in cell for cell in cells.values()))


if __name__ == "__main__":
    sys.exit(main())
