"""The tables of `gpu.py`, from its lines of JSON.

    python benchmarks/gpu_tables.py

writes those of `benchmarks/gpu.jsonl`, to which the lines of a run are added, into
`benchmarks/README.md`. A rehearsal does not count there.
"""

import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.records import read_lines
from benchmarks.tables import table, with_part

README = Path(__file__).with_name("README.md")
MEASURED = Path(__file__).with_name("gpu.jsonl")
BEGIN = "<!-- GPU tables: written by benchmarks/gpu_tables.py -->\n"
END = "<!-- end of the GPU tables -->\n"


class Table(NamedTuple):
    text: str
    key: tuple  # what tells a row; of its lines the last counts
    figures: tuple  # lines without the key or the first are not of this table
    fastest: bool = False  # and not the last


TABLES = (
    Table(
        "`train_imagenet.py` with the authors' recipe, killed in the middle (-9) and "
        "resumed, `evaluate.py`, `predict.py`:",
        *(("backend", "part"), ("exit_code", "seconds")),
    ),
    Table(
        "The last epoch of that training, the wait for its first images included:",
        *(("backend",), ("waiting_share", "images_per_second", "memory_gb", "top1")),
    ),
    Table(
        "Synthetic batches in bfloat16, the fastest of the sizes that were measured, "
        "without the beginning and end of `fit` and `predict`; training counts as "
        "three forward passes, the peak is the published one, and the hours follow "
        "from the images a second (eight GPUs: at best an eighth):",
        ("model", "implementation", "mode"),
        (
            *("gflop_an_image", "images_per_second", "batch_size", "share_of_peak"),
            *("hours_for_310_epochs", "memory_gb", "first_step_s"),
        ),
        fastest=True,
    ),
    Table(
        "JAX's attention in bfloat16, 197 tokens: the largest difference from float32 "
        "over the largest number (odd: cuDNN's as it is; padded: with a token more, "
        "whose training steps are `jax:padded` above):",
        *(("way",), ("output", "gradients")),
    ),
    Table(
        "Grain's reader on photographs, in threads or processes (and the CPUs that may "
        "be used, of which two may be one core's):",
        *(("recipe", "cores", "processes"), ("images_per_second",)),
    ),
    Table(
        "From scratch, photographs on the device, an epoch as one program:",
        ("model", "epochs"),
        ("epoch_s", "first_epoch_s", "images", "images_per_second", "gmacs", "top1"),
    ),
)


def tables(lines, rehearsal=False):
    """Markdown of all that was measured, a part for each device."""
    lines = [line for line in lines if line["rehearsal"] == rehearsal]
    parts = []
    for device in dict.fromkeys(line["device"] for line in lines):
        own = [line | line["cell"] for line in lines if line["device"] == device]
        versions = (f"{name} {v}" for name, v in own[-1]["versions"].items())
        parts.append(f"**{device}** ({', '.join(versions)})\n\n")
        parts += [filled(form, own) for form in TABLES]
        ends = {name(line): line["ended"] for line in own if "ended" in line}
        bad = [f"{cell}: {end}" for cell, end in ends.items() if end != "well"]
        parts.append(f"Not measured to the end: {'; '.join(bad)}.\n\n" if bad else "")
    return "".join(parts)[:-1] or "Nothing of this was measured on a GPU yet.\n"


def name(line):
    return " ".join([line["task"], *map(str, line["cell"].values())])


def filled(form, lines):
    """The text and the rows of a `Table`; empty where no line is of it."""
    rows = {}
    for line in lines:
        if not {*form.key, form.figures[0]} <= line.keys():
            continue
        place = tuple(str(line[part]) for part in form.key)
        if form.fastest and place in rows and rate(rows[place]) > rate(line):
            continue
        rows[place] = line
    if not rows:
        return ""
    names = [*form.key, *form.figures]
    head = [name.replace("_", " ") for name in names]
    body = [[shown(line.get(name)) for name in names] for line in rows.values()]
    return f"{form.text}\n\n{table(head, body)}\n"


def shown(value):
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return "" if value is None else str(value)


def rate(line):
    return line["images_per_second"]


def with_tables(text):
    """`text` of the README with the tables of now between its markers."""
    return with_part(text, BEGIN, END, tables(read_lines(MEASURED)))


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text("utf-8")), encoding="utf-8")
