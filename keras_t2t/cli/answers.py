"""Writes the answers of `predict`: `(path, classes, error)` of each image, where the
classes are a list of `(name, probability)`, or None if there is an error."""

import csv
import json
import os

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.files import replacing, table_cell
from keras_t2t.cli.ending import tell


def print_answer(image, classes, error):
    if error:
        tell(error)
        return
    print(shown(image))
    for name, probability in classes:
        print(f"  {probability:6.2%}  {shown(name)}")


def write_csv(path, answers, top):
    """A row per image: its path, `top` classes and their probabilities, the error."""
    pairs = [(f"class_{i + 1}", f"probability_{i + 1}") for i in range(top)]
    rows = [["image", *(name for pair in pairs for name in pair), "error"]]
    for image, classes, error in answers:
        cells = [cell for name, p in classes or [] for cell in (name, f"{p:.6f}")]
        cells += [""] * (2 * top - len(cells))
        rows.append([shown(image), *cells, error or ""])
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows(map(table_cell, row) for row in rows)


def write_json(path, answers):
    """A list with an object per image."""
    objects = []
    for image, classes, error in answers:
        named = [
            {"class": n, "probability": round(float(p), 6)} for n, p in classes or []
        ]
        answer = {"error": error} if error else {"classes": named}
        objects.append({"image": os.fspath(image), **answer})
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(objects, indent=1) + "\n", encoding="utf-8")
