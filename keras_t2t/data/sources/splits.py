"""The names that people give to splits, and which of them trains and validates."""

import hashlib
import re
import unicodedata
from typing import NamedTuple

import numpy as np

from keras_t2t.data.sources.source import TEST, TRAIN, VALIDATION, Part, Source

NAMES = {
    TRAIN: ("train", "training", "trn"),
    VALIDATION: ("val", "valid", "validation", "validate", "validating", "dev"),
    TEST: ("test", "testing", "tst", "eval", "evaluation", "holdout", "heldout"),
}
ROLES = {name: role for role, names in NAMES.items() for name in names}
# As a part of a pattern, the longest first.
PATTERN = "|".join(sorted(ROLES, key=len, reverse=True))
# What stands beside the name in "training_set", "seg_train", "Train Images", "val2017".
BESIDE = r"(?:sets?|data|dataset|images?|imgs?|photos?|pictures?|split|folder|seg|\d+)"
WORD = re.compile(
    rf"(?:{BESIDE}[-_. ]*)*(?P<name>{PATTERN})s?(?:[-_. ]*{BESIDE})*", re.IGNORECASE
)
SHARE = 0.2
SEED = 0  # the same images validate in every run, resumed or evaluated


def role(name):
    """The purpose of a split with this name: train, validation or test; None if it is
    no name of a split. Only its contents decide whether it is a split."""
    match = WORD.fullmatch(name)
    return ROLES[match["name"].lower()] if match else None


def accepted():
    """The accepted names as a text."""
    return ", ".join("|".join(names[:3]) for names in NAMES.values())


class Choice(NamedTuple):
    """Which split does what, by their names in the files."""

    train: str | None  # None: for evaluation only
    validation: str | None  # None: a share of `shared`
    shared: str | None  # of which a share validates, and the rest may train
    left: tuple = ()  # the splits that are not read

    @property
    def read(self):
        """The names of the splits that are read, training first."""
        used = self.train, self.validation or self.shared
        return [*dict.fromkeys(name for name in used if name is not None)]


def choose_splits(names, wanted, kind):
    """Chooses, by the splits' names, what trains, and what validates: validation, test
    or a share of training. `kind` is what they are, for errors: "folders"."""
    by_role = {}
    for name in names:
        by_role.setdefault(role(name), []).append(name)

    def one(purpose):
        found = by_role.get(purpose, ())
        if len(found) > 1:
            raise ValueError(
                f"{wanted.place} has {len(found)} {kind} of {purpose}, "
                f"{' and '.join(sorted(found))}: leave one"
            )
        return found[0] if found else None

    on_test = wanted.split == TEST
    validation = one(TEST) if on_test else one(VALIDATION) or one(TEST)
    needs_train = not wanted.evaluation_only or (validation is None and not on_test)
    train = one(TRAIN) if needs_train else None
    if (needs_train and train is None) or (on_test and validation is None):
        needed = f"a split of {TEST if on_test else TRAIN}"
        if wanted.evaluation_only and not on_test:
            needed = "one of validation, of test or of training"
        raise ValueError(
            f"{wanted.place} has {kind} of the splits {sorted(names)}; needed is "
            f"{needed} ({accepted()}, in upper or lower case)"
        )
    shared = train if validation is None else None
    train = None if wanted.evaluation_only else train
    left = tuple(name for name in names if name not in (train, validation, shared))
    return Choice(train, validation, shared, left)


def open_splits(names, wanted, kind, open_split):
    """The `Choice` of splits, and {name: `Split`} of those that are read, by a function
    of a name. A test split that holds its labels back is left alone, unless it is asked
    for by name or there is no other."""

    def opened(choice):
        return {name: open_split(name) for name in choice.read}

    choice = choose_splits(names, wanted, kind)
    splits, test = opened(choice), choice.validation
    others = [name for name in names if name != test]
    asked = wanted.split == TEST or role(test or "") != TEST
    if asked or not others or not splits[test].holds_labels_back():
        return choice, splits
    choice = choose_splits(others, wanted, kind)
    choice = choice._replace(left=(*choice.left, test))
    return choice, opened(choice)


def assembled(wanted, class_names, choice, splits, slash="", notes=()):
    """The `Source` of chosen splits; without one for validation a share of training is
    taken. `slash` follows the names in messages; `notes` are further sentences."""
    verb = "is evaluated" if wanted.evaluation_only else "validates"
    names = choice.train or "", choice.validation or choice.shared
    if choice.shared is None:
        share = count = None
        text = f"{choice.validation}{slash} {verb}"
        parts = splits.get(choice.train), splits[choice.validation]
    else:
        share = wanted.validation_share or SHARE
        text = f"{100 * share:g}% of {choice.shared}{slash} {verb}"
        whole = splits[choice.shared]
        count = len(whole)
        chosen = stratified(whole.labels, whole.keys(), share)
        train = None if wanted.evaluation_only else Part(whole, np.flatnonzero(~chosen))
        parts = train, Part(whole, np.flatnonzero(chosen))
    if left := [f"{name}{slash}" for name in choice.left]:
        text += f", {' and '.join(left)} {'is' if len(left) == 1 else 'are'} left alone"
    return Source(class_names, *parts, names, share, count, (text, *notes))


def stratified(labels, keys, share):
    """Which images validate: of each class a random `share`, rounded, at least one, and
    by a share below 1 not all, unless there is only one.

    Every key has its place in a random order. So one image that is added or removed
    moves at most one other image, of its class.
    """
    chosen = np.zeros(len(labels), bool)
    draws = np.fromiter(map(_draw, keys), "uint64", len(keys))
    order = np.lexsort((draws, labels))
    firsts = np.flatnonzero(np.diff(labels[order])) + 1
    for images in np.split(order, firsts):
        most = max(1, len(images) - (share < 1))
        chosen[images[: min(most, max(1, round(share * len(images))))]] = True
    return chosen


def _draw(key):
    """A number of 64 bits, the same on every system."""
    key = unicodedata.normalize("NFC", key)  # macOS writes an accent of its own
    content = f"{SEED}/{key}".encode(errors="surrogatepass")
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big")
