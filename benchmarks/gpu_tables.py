"""The tables of `gpu.py`, from its lines of JSON.

    python benchmarks/gpu_tables.py

writes those of `benchmarks/gpu.jsonl`, to which the lines of a run are added, into
`benchmarks/README.md`. A rehearsal does not count there.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.records import read_lines
from benchmarks.tables import table, with_part

README = Path(__file__).with_name("README.md")
MEASURED = Path(__file__).with_name("gpu.jsonl")
BEGIN = "<!-- GPU tables: written by benchmarks/gpu_tables.py -->\n"
END = "<!-- end of the GPU tables -->\n"
# Lines of a cell that agree in these are of one row, of which the last counts.
KEY = ("part", "recipe", "way")
NO_FIGURES = ("device", "versions", "rehearsal", "task", "cell", "printed", "loss")


def tables(lines, rehearsal=False):
    """Markdown of all that was measured: for each device, a table of each task."""
    lines = [line for line in lines if line["rehearsal"] == rehearsal]
    parts = []
    for device in dict.fromkeys(line["device"] for line in lines):
        own = [line for line in lines if line["device"] == device]
        versions = (f"{name} {v}" for name, v in own[-1]["versions"].items())
        parts.append(f"**{device}** ({', '.join(versions)})\n\n")
        told = [line for line in own if "ended" not in line]
        for task in dict.fromkeys(line["task"] for line in told):
            of_task = [line for line in told if line["task"] == task]
            parts.append(f"`{task}`:\n\n{table_of(of_task)}\n")
        ends = {name(line): line["ended"] for line in own if "ended" in line}
        bad = [f"{cell}: {end}" for cell, end in ends.items() if end != "well"]
        parts.append(f"Not measured to the end: {'; '.join(bad)}.\n\n" if bad else "")
    return "".join(parts)[:-1] or "Nothing of this was measured on a GPU yet.\n"


def name(line):
    return " ".join([line["task"], *map(str, line["cell"].values())])


def table_of(lines):
    """A row for each cell, and part of it, with all figures."""
    rows = {}
    for line in lines:
        place = name(line), *(line.get(part) for part in KEY)
        figures = {k: v for k, v in line.items() if k not in NO_FIGURES}
        rows[place] = line["cell"] | figures
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    head = [name.replace("_", " ") for name in names]
    return table(head, [[shown(row.get(n)) for n in names] for row in rows.values()])


def shown(value):
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return "" if value is None else str(value)


def with_tables(text):
    """`text` of the README with the tables of now between its markers."""
    return with_part(text, BEGIN, END, tables(read_lines(MEASURED)))


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text("utf-8")), encoding="utf-8")
