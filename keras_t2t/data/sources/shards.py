"""Files of splits that hold many images, as hubs keep data sets:
train-00000-of-00294.parquet, train-00000-of-00002-0123456789abcdef.parquet,
train/0000.parquet, imagenet1k-train-0000.tar."""

import re

from keras_t2t._ground.images import shown
from keras_t2t._ground.listing import is_litter
from keras_t2t.data.sources.class_names import (
    call_by_number,
    check_labels,
    names_beside,
)
from keras_t2t.data.sources.listing import visible_folders
from keras_t2t.data.sources.source import TRAIN
from keras_t2t.data.sources.splits import PATTERN, assembled, open_splits, role

FOLDERS = (".", "data")  # beside a hub's README, or in its folder data/
# train-0000, train0, train-shard-0000
NUMBER = (
    r"(?:(?:shard|part|chunk)s?[-_. ]?)?(?P<number>\d+)(?:[-_]of[-_](?P<count>\d+))?"
)
HASH = r"(?:[-_.](?=[0-9a-f]*[a-f])[0-9a-f]{8,})?"
NAMED = re.compile(
    rf"(?:.*[-_. ])?(?P<split>{PATTERN})(?:[-_. ]?{NUMBER})?{HASH}", re.IGNORECASE
)
# train-extra, whose place in the order is not known
UNCLEAR = re.compile(rf"(?:.*[-_. ])?(?:{PATTERN})[-_. ].*", re.IGNORECASE)
COMPRESSED = re.compile(r"\.(tgz|tbz2?|txz|tar\.\w+)$", re.IGNORECASE)
IN_SPLIT = re.compile(rf"(?:.*[-_. ])?{NUMBER}{HASH}", re.IGNORECASE)
UNCOUNTED = re.compile(r"(?!.*[-_]of[-_]\d)(?:.*[-_. ])?\d+\.\w+", re.IGNORECASE)
FOREIGN = "ilsvrc2012_"  # image-net.org's own tars


def open_shards(wanted, root, suffix, kind, open_split):
    """The images of files named by split and number, as of a layout's `open_source`;
    `suffix` is without the dot, `kind` what they are, for errors: "tars", and
    `open_split` gives for the paths of a split a `Split` with labels.

    Classes have the names that the files themselves tell, else those in
    `classnames.txt` beside, else numbers.
    """
    found = find_shards(root, suffix) or find_shards(root, suffix, loosely=True)
    choice, splits = open_splits(
        found, wanted, kind, lambda name: open_split(found[name])
    )
    known = {path for paths in found.values() for path in paths}
    beside = _files(found[choice.read[0]][0].parent, suffix)
    others = tuple(shown(path.name) for path in beside if path not in known)
    choice = choice._replace(left=(*choice.left, *others))
    names, notes = None, ()
    for name, split in splits.items():
        names = names or split.class_names
        check_same_names(names, split.class_names, found[name][0])
    validation = choice.validation or choice.shared
    names = names or names_beside(found[validation][0].parent, root, wanted.folder)
    for split in splits.values():
        check_labels(split, names)
    if names is None:
        names, *notes = call_by_number(list(splits.values()))
    counted = [
        f"{len(found[name]):,} {kind} of {name}"
        for name in choice.read
        if UNCOUNTED.fullmatch(found[name][0].name)
    ]
    if counted:  # the last ones may be missing
        notes = (*notes, f"found {' and '.join(counted)}")
    return assembled(wanted, names, choice, splits, notes=notes)


def check_same_names(names, others, path):
    """Raises a ValueError if a file has other class names than the files before it."""
    if names != others:
        raise ValueError(
            f"data_dir: {path} has other names of classes than the files before it, or "
            "in another order"
        )


def find_shards(folder, suffix, loosely=False):
    """The shards in a folder, in its folder `data/` or in folders of splits: {name of a
    split, in lower case: list of Path, in order}; `loosely`, also files without a
    number (`train.tar`) where none has one and, where no name tells a split, all as
    training.

    A ValueError says which is missing by the others' names, has the place of another,
    has an unclear name, or lies in another of `FOLDERS`.
    """
    places = [folder / name for name in FOLDERS if (folder / name).is_dir()]
    for place in places:
        files = _files(place, suffix)
        in_folders = _in_folders(place, suffix)
        found = _by_split(place, files, suffix, loosely or in_folders)
        if found and in_folders:
            one, other = (min(min(paths.values())) for paths in (found, in_folders))
            raise ValueError(
                f"data_dir: {shown(one)} lies beside folders of splits that hold files "
                f"like {shown(other)}: put all into folders, or none"
            )
        if found and suffix == "tar":
            _check_not_compressed(place, {path.name for path in files})
        found = found or in_folders
        if loosely and not found and files:
            found = {TRAIN: _ordered(place, _matched(files, suffix))}
        if found:
            break
    else:
        return {}
    for other in set(places) - {place}:
        files = _files(other, suffix)
        more = _by_split(other, files, suffix, True) or _in_folders(other, suffix)
        if more:  # they would be missed
            raise ValueError(
                f"data_dir: {shown(place)} has {suffix} files of splits, and so has "
                f"{shown(other)}, such as {shown(min(min(more.values())).name)}: keep "
                "those that belong together in one of them"
            )
    return found


def _by_split(place, files, suffix, loosely):
    """{name of a split: list of Path, in order} of files named by split; none if no
    name has a number, unless `loosely`."""
    found, unclear = {}, []
    for path in files:
        name = path.name[: -len(suffix) - 1]
        if match := NAMED.fullmatch(name):
            found.setdefault(match["split"].lower(), []).append((path, match))
        elif UNCLEAR.fullmatch(name):
            unclear.append(path)
    numbers = [match["number"] for several in found.values() for _, match in several]
    if not (loosely or any(numbers)):
        return {}
    if found and unclear:
        raise ValueError(
            f"data_dir: {shown(unclear[0])} lies beside files of splits, and is not "
            f"called like train-0000.{suffix} or train.{suffix}: rename it, or move "
            "it out"
        )
    return {split: _ordered(place, several) for split, several in found.items()}


def _check_not_compressed(place, names):
    """Raises a ValueError if a further shard is compressed, and so would be missed."""
    for path in sorted(place.iterdir()):
        name = COMPRESSED.sub("", path.name)
        if name != path.name and f"{name}.tar" not in names and NAMED.fullmatch(name):
            raise ValueError(
                f"data_dir: {shown(path)} is compressed, and cannot be read from the "
                "middle: unpack it to .tar, or move it out"
            )


def _in_folders(place, suffix):
    """As `find_shards`, for files in a folder for each split: train/0000.parquet."""
    found = {}
    for name in visible_folders(place):
        files = _files(place / name, suffix) if role(name) else ()
        if files:
            found[name.lower()] = _ordered(place / name, _matched(files, suffix))
    return found


def _files(place, suffix):
    return sorted(
        path
        for path in place.iterdir()
        if path.name.lower().endswith(f".{suffix}")
        and not is_litter(path.name)
        and not path.name.lower().startswith(FOREIGN)
        and path.is_file()
    )


def _matched(files, suffix):
    return [(path, IN_SPLIT.fullmatch(path.name[: -len(suffix) - 1])) for path in files]


def _ordered(place, matched):
    """The paths of [(path, match)] in the order of the numbers, if all have one."""
    if not all(match and match["number"] for _, match in matched):
        if len(matched) > 1 and any(match and match["number"] for _, match in matched):
            names = ", ".join(shown(path.name) for path, _ in matched[:4])
            raise ValueError(
                f"data_dir: of the files of one split in {shown(place)} some have a "
                f"number and some have none: {names}; keep those that belong together"
            )
        return [path for path, _ in matched]
    numbers = {}
    for path, match in matched:
        other = numbers.setdefault(int(match["number"]), path)
        if other is not path:
            raise ValueError(
                f"data_dir: {shown(other)} and {shown(path.name)} have the same place "
                "in the order: keep those that belong together"
            )
    counts = {int(match["count"]) for _, match in matched if match["count"]}
    if len(counts) > 1:
        raise ValueError(
            f"data_dir: {shown(place)} holds files of {sorted(counts)} in all, like "
            f"{shown(matched[0][0].name)}: keep those that belong together"
        )
    first = 0 if 0 in numbers or not counts else 1
    last = first + counts.pop() if counts else max(numbers) + 1
    if missing := sorted(set(range(first, last)) - set(numbers)):
        raise ValueError(
            f"data_dir: {shown(place)} lacks {len(missing):,} of the {last - first:,} "
            f"files like {shown(matched[0][0].name)}: the first missing has the number "
            f"{missing[0]}"
        )
    return [numbers[number] for number in sorted(numbers)]
