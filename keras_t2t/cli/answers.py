"""Writes the answers of `predict` image by image, and keeps none in memory."""

import contextlib
import csv
import json
import os

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.files import replacing, table_cell
from keras_t2t.cli.ending import tell


@contextlib.contextmanager
def writing(csv_path, json_path, top):
    """Gives `write(image, classes, error)`, for the path of an image, a list of `(name,
    probability)` or None, and the reason if there is none. If no file is asked for, it
    prints.

    The files appear complete when the body has ended, or not at all.

    Args:
        csv_path, json_path: files to write, or None.
        top: int, classes per image.
    """
    with contextlib.ExitStack() as stack:
        writers = []
        if csv_path:
            writers.append(csv_rows(opened(stack, csv_path), top))
        if json_path:
            writers.append(stack.enter_context(json_list(opened(stack, json_path))))

        def write(*row):
            for writer in writers or [print_answer]:
                writer(*row)

        yield write


def opened(stack, path):
    temporary = stack.enter_context(replacing(path))
    return stack.enter_context(open(temporary, "w", newline="", encoding="utf-8"))


def print_answer(image, classes, error):
    if error:
        tell(error)
        return
    print(shown(image))
    for name, probability in classes:
        print(f"  {probability:6.2%}  {shown(name)}")


def csv_rows(file, top):
    """A row per image: its path, classes and probabilities, most probable first, and
    the error in place of these."""
    writer = csv.writer(file)
    pairs = [(f"class_{i + 1}", f"probability_{i + 1}") for i in range(top)]
    columns = [name for pair in pairs for name in pair]
    writer.writerow(["image", *columns, "error"])

    def write(image, classes, error):
        cells = [cell for name, p in classes or [] for cell in (name, f"{p:.6f}")]
        cells += [""] * (2 * top - len(cells))
        row = [shown(image), *cells, error or ""]
        writer.writerow(map(table_cell, row))

    return write


@contextlib.contextmanager
def json_list(file):
    """A list with an object per image."""
    between = "[\n"

    def write(image, classes, error):
        nonlocal between
        answer = {"image": os.fspath(image)}
        if error:
            answer["error"] = error
        else:
            answer["classes"] = [
                {"class": name, "probability": round(float(p), 6)}
                for name, p in classes
            ]
        file.write(between + json.dumps(answer))
        between = ",\n"

    yield write
    file.write(f"{'[' if between.startswith('[') else ''}\n]\n")
