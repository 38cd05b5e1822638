"""The names that people give to splits, and what each split is for."""

import re
from typing import NamedTuple

TRAIN, VALIDATION, TEST = "train", "validation", "test"
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
EVALUATED = (VALIDATION, TEST)  # what may be asked for


def role(name):
    """What a split of this name is for: train, validation, test; None if it is none.

    What lies in it decides whether it is one.
    """
    match = WORD.fullmatch(name)
    return ROLES[match["name"].lower()] if match else None


class Choice(NamedTuple):
    """Which split does what, by their names in the files."""

    train: str | None  # None: for evaluation only
    validation: str | None  # None: a share of `shared`
    shared: str | None  # of which a share validates, and the rest may train
    left: tuple = ()  # what is not read


def choose_splits(names, place, kind, evaluation_only=False, split=VALIDATION):
    """What trains and what validates: validation, else test, else a share of training.

    Args:
        names: of the splits that there are.
        place: what holds them, for errors.
        kind: what they are, for errors: "folders".
        evaluation_only: nothing trains.
        split: what is to be evaluated: what validates in training, or the test split.

    Returns:
        `Choice`.

    Raises:
        ValueError: a split is missing, or there are two for one purpose.
    """
    by_role = {}
    for name in names:
        by_role.setdefault(role(name), []).append(name)

    def one(wanted):
        found = by_role.get(wanted, ())
        if len(found) > 1:
            raise ValueError(
                f"{place} has {len(found)} {kind} of {wanted}, "
                f"{' and '.join(sorted(found))}: leave one"
            )
        return found[0] if found else None

    validation = one(TEST) if split == TEST else one(VALIDATION) or one(TEST)
    needs_train = not evaluation_only or (validation is None and split != TEST)
    train = one(TRAIN) if needs_train else None
    if (needs_train and train is None) or (split == TEST and validation is None):
        needed = f"a split of {TEST if split == TEST else TRAIN}"
        if evaluation_only and split != TEST:
            needed = "one of validation, of test or of training"
        raise ValueError(
            f"{place} has {kind} of the splits {sorted(names)}; needed is {needed} "
            f"({accepted()}, in upper or lower case)"
        )
    shared = train if validation is None else None
    train = None if evaluation_only else train
    left = tuple(name for name in names if name not in (train, validation, shared))
    return Choice(train, validation, shared, left)


def accepted():
    """The accepted names as a text."""
    return ", ".join("|".join(names[:3]) for names in NAMES.values())


def told(choice, share=None, evaluation_only=False, slash="", more_left=()):
    """Which split validates, and which are left alone, as a text.

    Args:
        choice: `Choice`.
        share: of the images of `choice.shared` that validate.
        evaluation_only: whether nothing trains.
        slash: what ends the names.
        more_left: other names beside that are not read.
    """
    verb = "is evaluated" if evaluation_only else "validates"
    if choice.validation is None:
        text = f"{100 * share:g}% of {choice.shared}{slash} {verb}"
    else:
        text = f"{choice.validation}{slash} {verb}"
    left = [f"{name}{slash}" for name in (*choice.left, *more_left)]
    if left:
        text += f", {' and '.join(left)} {'is' if len(left) == 1 else 'are'} left alone"
    return text
