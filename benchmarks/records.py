"""Files to which each result is added the moment it is known: CSV, or lines of JSON."""

import contextlib
import csv
import json


def append_row(path, row, columns):
    """Adds a dict to a CSV file, which begins with the names of its columns."""
    with open(path, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if file.tell() == 0:
            writer.writeheader()
        writer.writerow(row)


def read_rows(path):
    """The dicts of a CSV file, all values text; none where there is no file."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append_line(path, line):
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{json.dumps(line)}\n")


def read_lines(path):
    """The whole lines of JSON of a file; none where there is no file."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):  # cut off by a kill
            lines.append(json.loads(text))
    return lines
