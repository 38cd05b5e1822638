"""Says what images show. Takes files, folders (with their subfolders) and patterns.

Published weights are downloaded when first used. Class names are ImageNet's or CIFAR's;
for other weights they come from the JSON list in --classes or in `classes.json` beside
the weights. If there is neither, weights for 1,000 classes get ImageNet's names and
others numbers. For an image that cannot be read, the reason takes the place of the
answer; the exit status is 2 if no image can be read.
"""

import collections
import concurrent.futures
import functools
import json
import os
import sys

from keras_t2t._ground.arguments import integer, reason, shown
from keras_t2t._ground.files import check_writable, replacing, write_table
from keras_t2t.cli.classifier_flags import add_classifier_flags
from keras_t2t.cli.ending import BAD_INPUT, tell
from keras_t2t.cli.image_files import image_files
from keras_t2t.settings.flag_values import user_path

USAGE = "IMAGE [IMAGE ...]"
EXAMPLE = "keras-t2t predict --weights runs/flowers photographs --csv answers.csv"
THREADS = 8  # that decode, at most


def add_flags(parser, defaults):
    add_classifier_flags(parser)
    add = parser.add_argument
    number = functools.partial(add, type=int, metavar="N")
    add(
        "images",
        nargs="+",
        type=os.path.expanduser,
        metavar="IMAGE",
        help="an image, a folder (searched with its subfolders), or a pattern such as "
        "'photographs/**/*.jpg'",
    )
    number("--top", default=5, help="classes per image (default: 5)")
    number("--batch-size", default=32, help="images per step (default: 32)")
    add(
        "--csv",
        type=user_path,
        metavar="FILE",
        help="write a row per image: path, classes and their probabilities, error",
    )
    add(
        "--json",
        type=user_path,
        metavar="FILE",
        help="write the same as a list of objects",
    )


def main(arguments):
    """The exit code."""
    from keras_t2t.classifier import find_classifier

    top = integer("--top", arguments.top)
    batch_size = integer("--batch-size", arguments.batch_size)
    check_files(arguments)
    classifier = find_classifier(
        arguments.weights, arguments.model, arguments.image_size, arguments.classes
    )
    if classifier.classes == 1:
        raise ValueError(
            f"weights={shown(arguments.weights)!r} have one output, which names no "
            "class: at least 2 are needed"
        )
    top = min(top, classifier.classes)
    asked = [path for path in (arguments.csv, arguments.json) if path]
    files = " and ".join(map(shown, asked))
    answers, named = [], 0
    for batch in answered(classifier, image_files(arguments.images), top, batch_size):
        named += sum(why is None for *_, why in batch)
        if not files:
            for answer in batch:
                print_answer(*answer)
            continue
        answers += batch
        if sys.stderr.isatty():
            print(f"{len(answers):,} images", end="\r", file=sys.stderr, flush=True)
    if arguments.csv:
        write_csv(arguments.csv, answers, top)
    if arguments.json:
        write_json(arguments.json, answers)
    if files:
        unread = len(answers) - named
        rest = f", {unread:,} could not be read" if unread else ""
        print(f"{files}: {named:,} images{rest}")
    return 0 if named else BAD_INPUT


def check_files(arguments):
    """Raises an error if --csv or --json cannot be written."""
    for flag, path in (("--csv", arguments.csv), ("--json", arguments.json)):
        if path and path.is_dir():
            raise ValueError(f"{flag} {str(path)!r} is a folder, not a file")
        if path:
            check_writable(path, flag)
    if arguments.csv and arguments.csv == arguments.json:
        raise ValueError(f"--csv and --json are one file, {str(arguments.csv)!r}")


def answered(classifier, files, top, batch_size):
    """Lists of `(path, the top classes or None, why it could not be read or None)`, one
    for each batch. The model is built when the first image was read."""
    from keras_t2t.classifier import numbered, top_classes
    from keras_t2t.preprocessing import evaluation_transform

    def read(file):
        """`(path, pixels, None)`, or `(path, None, reason)`."""
        path, why = file
        try:
            if why is None:
                return path, transform(path), None
        except (OSError, ValueError) as error:
            why = reason(error) if isinstance(error, ValueError) else str(error)
        return path, None, why

    transform = functools.partial(
        evaluation_transform,
        size=classifier.size,
        **classifier.photograph_transform,
        reduced=classifier.reduced,
    )
    model = names = None
    for batch in batches(files, read, batch_size):
        if model is None and any(why is None for *_, why in batch):
            model = classifier.build()
            names = classifier.labels or numbered(classifier.classes)
        scores = iter(probabilities(model, batch))
        yield [
            (path, None if why else top_classes(next(scores), names, top), why)
            for path, _, why in batch
        ]


def probabilities(model, batch):
    """float array (images, classes) of the images of a batch that were read; a
    FloatingPointError if an output is not a finite number."""
    import numpy as np

    pixels = [pixels for _, pixels, why in batch if why is None]
    if not pixels:
        return []
    found = np.asarray(model.predict_on_batch(np.stack(pixels)))
    if not np.isfinite(found).all():
        raise FloatingPointError(f"{model.name} gives outputs that are no numbers")
    return found


def batches(files, read, size):
    """Lists of what `read` gives, in order, each with `size` readable images."""
    batch = []
    for answer in read_ahead(files, read, 2 * size):
        batch.append(answer)
        readable = sum(why is None for *_, why in batch)
        if readable == size or len(batch) == 8 * size:
            yield batch
            batch = []
    if batch:
        yield batch


def read_ahead(files, read, most):
    """What `read` gives, in order; meanwhile at most so many of the next are read."""
    pool = concurrent.futures.ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1))
    waiting = collections.deque()
    try:
        for file in files:
            waiting.append(pool.submit(read, file))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


# === Answers ===
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
    with replacing(path) as temporary:
        write_table(temporary, rows)


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
