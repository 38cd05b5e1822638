"""Numbered files of splits, as hubs keep data sets: train-00000-of-00294.parquet."""

import re

VALIDATION = ("validation", "val", "test")
FOLDERS = (".", "data")  # beside a hub's README, or in its folder data/


def find_shards(folder, suffix):
    """The shards in a folder or in its folder `data/`.

    Args:
        folder: Path.
        suffix: of the files, without the dot.

    Returns:
        {split: sorted list of Path}, of the splits train, validation, val and test.

    Raises:
        ValueError: one of the files that the others' names tell of is missing.
    """
    pattern = re.compile(
        rf"(?:.*[-_])?(train|validation|val|test)-(\d+)(?:-of-(\d+))?\.{suffix}"
    )
    for place in (folder / name for name in FOLDERS):
        found = {}
        for path in sorted(place.glob(f"[!.]*.{suffix}")) if place.is_dir() else ():
            if match := pattern.fullmatch(path.name):
                split, number, count = match.groups()
                found.setdefault(split, {})[int(number)] = (path, count)
        if found:
            return {split: _complete(place, shards) for split, shards in found.items()}
    return {}


def _complete(folder, shards):
    """The paths of numbered shards in order.

    The last number is known where names tell it ("-of-00294").
    """
    path, count = next(iter(shards.values()))
    expected = int(count) if count else max(shards) + 1
    if missing := sorted(set(range(expected)) - set(shards)):
        raise ValueError(
            f"data_dir: {folder} lacks {len(missing):,} of the {expected:,} files like "
            f"{path.name}: the first missing has the number {missing[0]}"
        )
    return [shards[number][0] for number in sorted(shards)]


def choose_splits(found, folder, kind, evaluation_only):
    """The shards of training, None for evaluation only, and of validation.

    Returns:
        (name, paths) twice; the first is None for evaluation only.

    Raises:
        ValueError: a split is missing.
    """
    train = found.get("train")
    for name in VALIDATION:
        if name in found and (train or evaluation_only):
            return None if evaluation_only else ("train", train), (name, found[name])
    needed = "validation, val or test"
    if not evaluation_only:
        needed = f"train, and {needed}"
    raise ValueError(
        f"data_dir={str(folder)!r} has {kind} of the splits {sorted(found)}; needed "
        f"are {needed}"
    )
