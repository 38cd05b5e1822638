"""Which files of a tar belong together, as in WebDataset: one image, one label."""

import json
import os

from keras_t2t._ground.images import shown
from keras_t2t.data.image_formats import HEAD, format_of, is_image_name

NO_LABEL = -1
LABEL_SUFFIXES = (".cls", ".json")
MAX_LABEL = 2**31  # labels number the classes
MAX_LABEL_BYTES = 1 << 24  # of a file that holds a label


def samples(file, path, members):
    """The images of an open tar, a list of `Member` in its order, and their labels, a
    list of int or `NO_LABEL`.

    Files that share their name up to the first dot are a sample: an image, and its
    label in `.cls` (a number) or `.json` (`label`). Where each image of a sample has a
    label of its own name (`cam0.frame0.jpg`, `cam0.frame0.cls`), each is a sample. A
    ValueError names two images of a sample, two labels that differ, and a label that
    has no image or is no number.
    """
    groups, order = {}, {}
    for member in members:
        images, labels = groups.setdefault(_key(member.name), ([], []))
        if _suffix(member.name) in LABEL_SUFFIXES:
            labels.append(member)
        elif is_image_name(member.name) or _is_image(file, member):
            order[member] = len(order)
            images.append(member)
    found = []
    for key, (images, labels) in groups.items():
        for image, its in _paired(key, images, labels, path):
            label = _agreed(file, path, its, optional=image is None)
            if image is not None:
                found.append((image, NO_LABEL if label is None else label))
            elif label is not None:
                raise ValueError(
                    f"data_dir: {shown(path)}: {shown(its[0].name)} is a label without "
                    f"an image: expected one of its name, {shown(key)}, beside it"
                )
    found.sort(key=lambda pair: order[pair[0]])
    return [image for image, _ in found], [label for _, label in found]


def _paired(key, images, labels, path):
    """[(image or None, its labels)]: one sample, or one for each image."""
    if len(images) < 2:
        return [(images[0] if images else None, labels)]
    stems = {}
    for kind, several in enumerate((images, labels)):
        for member in several:
            stem = os.path.splitext(member.name)[0]
            stems.setdefault(stem, ([], []))[kind].append(member)
    alone = all(len(i) == 1 and bool(its) == bool(labels) for i, its in stems.values())
    if alone:
        return [(i, its) for [i], its in stems.values()]
    first, second = next(
        (i for i, _ in stems.values() if len(i) > 1), sorted(images, key=lambda i: i[1])
    )[:2]
    raise ValueError(
        f"data_dir: {shown(path)}: {shown(first.name)} (at byte {first.offset:,}) and "
        f"{shown(second.name)} (at byte {second.offset:,}) are two images of one "
        f"sample, {shown(key)}; each needs a name of its own, with its label under the "
        "same name"
    )


def _agreed(file, path, labels, optional):
    """The label on which all label files of a sample agree, or None."""
    found = []
    optional |= any(_suffix(member.name) == ".cls" for member in labels)
    for member in labels:
        value = _label(file, path, member, optional)
        if value is not None:
            found.append((value, member))
    for value, member in found[1:]:
        if value != found[0][0]:
            raise ValueError(
                f"data_dir: {shown(path)}: two labels of one sample differ: "
                f"{shown(found[0][1].name)} holds {found[0][0]}, {shown(member.name)} "
                f"{value}"
            )
    return found[0][0] if found else None


def _label(file, path, member, optional):
    """The label in a file; None for JSON without one, if it is `optional`."""
    is_json = _suffix(member.name) == ".json"
    content = b""
    if member.size <= MAX_LABEL_BYTES:
        file.seek(member.offset)
        content = file.read(member.size)
    try:
        if content.strip().isdigit():  # leading zeros too, unlike JSON
            value = int(content)
        else:
            value = json.loads(content)
            value = value["label"] if isinstance(value, dict) else value
        if type(value) is int and 0 <= value < MAX_LABEL:
            return value
    except (ValueError, KeyError, RecursionError):
        pass
    if is_json and optional:
        return None
    raise ValueError(
        f"data_dir: {shown(path)}: {shown(member.name)} holds {content[:40]!r}, "
        'expected the number of a class, or JSON with "label"'
    )


def _is_image(file, member):
    file.seek(member.offset)
    return format_of(file.read(min(HEAD, member.size))) is not None


def _suffix(name):
    return os.path.splitext(name)[1].lower()


def _key(name):
    folder, slash, file = name.removeprefix("./").rpartition("/")
    return folder + slash + file.partition(".")[0]
