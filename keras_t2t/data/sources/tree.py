"""What the folders in a folder are: splits, or classes. Their contents decide."""

import itertools
import os
import re
from collections import Counter

from keras_t2t.data.sources.listing import holds_images, look, visible_folders
from keras_t2t.data.sources.source import TRAIN, listed
from keras_t2t.data.sources.splits import accepted, role

PICTURES = ("images", "image", "imgs", "img", "jpegimages", "pictures", "photos")
ANNOTATIONS = """
    annotations annotation labels masks mask trimaps bboxes segmentations segmentation
    ground_truth groundtruth
""".split()
# A folder between a split and its classes: train/images/<class>.
BETWEEN = ("images", "image", "imgs", "img", "data", "dataset", "pictures", "photos")


def find_splits(folder):
    """The folders of splits in a folder: {name: Path of the folder with its classes}.

    A folder is a split if it has a split's name and holds folders, and no image beside
    them; `test/*.jpg` beside `cat/*.jpg` and `dog/*.jpg` is a class. A ValueError says
    if it cannot be decided whether they are splits or classes.
    """
    names = visible_folders(folder)
    places = {name: _inner(folder / name) for name in names if role(name)}
    # A whole data set may have such a name too: test/train/<class>.
    places = {name: at for name, at in places.items() if not _holds_splits(at)}
    if not places:
        return {}
    looks = {name: look(place, whole=True) for name, place in places.items()}
    if any(
        role(name) != role(other) and _alike(looks[name], looks[other])
        for name, other in itertools.combinations(places, 2)
    ):  # then they are splits, whatever else the folder holds
        return places
    others = [name for name in names if name not in places]
    of_folders = [name for name in places if looks[name].of_folders]
    if not of_folders:
        return _loose(folder, looks, others, places)
    beside = [name for name in others if holds_images(folder / name)]
    if beside and _one_folder_each(folder, [*of_folders, *beside]):
        return {}
    roles = {role(name) for name in places}
    alone = not beside or (len(beside) == 1 and TRAIN in roles and len(roles) > 1)
    if not alone:  # one folder more is accepted: Train/<class>, Test/* and Meta/*
        known = f"{_slashed(of_folders)} by name and content"
        raise ValueError(
            f"data_dir={str(folder)!r} holds {known} a split, and beside it images in "
            f"{_slashed(beside)}: name the splits train/<class>/* and val/<class>/* "
            f"(or the like), or give {of_folders[0]}/ as data_dir"
        )
    return places


def _loose(folder, looks, others, places):
    """As `find_splits`, if no folder with a split's name holds folders only."""
    loose = [name for name in looks if looks[name].images]
    if not loose:
        return {}
    beside = [name for name in others if holds_images(folder / name)]
    if not beside and any(looks[name].folders for name in loose):
        return places
    if not beside or (
        len(beside) == 1 and len(loose) > 1 and TRAIN in {role(name) for name in loose}
    ):
        raise ValueError(
            f"data_dir={str(folder)!r}: {_slashed(loose)} would be a split by the "
            f"name, and holds images without folders of classes; expected "
            f"{loose[0]}/<class>/*"
        )
    return {}


def check_classes_only(folder, names):
    """Raises a ValueError if folders of these names look like no classes."""
    if pairs := _named_by_split(names):
        raise ValueError(
            f"data_dir={str(folder)!r}: {_slashed(pairs)} look by their names like "
            "splits of one data set, not classes: have train/<class>/* and "
            "val/<class>/*"
        )
    check_no_marks(folder, names)
    inside, of_splits = {}, []
    for name in names:
        found = look(folder / name)
        if found.of_folders:
            inner = _inner(folder / name)
            inside[name] = set(look(inner, whole=True).folders)
            if len({role(other) for other in inside[name]} - {None}) > 1:
                of_splits.append(name)
    if len(of_splits) == 1:
        raise ValueError(
            f"data_dir={str(folder)!r}: {_slashed(of_splits)} holds splits "
            f"({listed(sorted(inside[of_splits[0]]), 4)}), so it is no class: give it "
            "as data_dir"
        )
    copies = [name for name, folders in inside.items() if _most(folders, names)]
    if copies:
        raise ValueError(
            f"data_dir={str(folder)!r}: {_slashed(copies)} holds folders of the same "
            f"names as those beside it ({listed(sorted(inside[copies[0]]), 4)}), so "
            "that it looks like a split or a copy, not a class: move it out, or have "
            "train/<class>/* and val/<class>/*"
        )
    counts = Counter(name for folders in inside.values() for name in folders)
    shared = {name for name, count in counts.items() if count > 1}
    alike = [name for name, folders in inside.items() if _most(folders, shared)]
    if len(alike) > 1:
        examples = sorted(shared & inside[alike[0]])
        raise ValueError(
            f"data_dir={str(folder)!r}: {_slashed(alike)} hold no images but folders "
            f"of the same names ({listed(examples, 4)}), so that they look "
            f"like splits, not classes: call them one of {accepted()}, or give one of "
            "them as data_dir"
        )


def check_no_marks(folder, names):
    """Raises a ValueError if folders are images and their annotations, not classes."""
    kinds = {name.lower() for name in names}
    if kinds & set(PICTURES) and kinds & set(ANNOTATIONS):
        raise ValueError(
            f"data_dir={str(folder)!r}: {_slashed(names)} look like images and "
            "their annotations, not classes: put images into a folder for each class"
        )


def only_folder(folder):
    """The folder inside a folder that holds all its images, as after unzipping
    (`x/x/<class>`), or None."""
    names = visible_folders(folder)
    # Found at once where there are classes, which may hold many files.
    if look(folder).images or any(look(folder / name).images for name in names):
        return None
    if len(names) > 1:
        # What is not empty and holds no image lies beside it.
        places = (folder / name for name in names)
        names = [at.name for at in places if holds_images(at) or not os.listdir(at)]
    return folder / names[0] if len(names) == 1 else None


def _inner(place):
    """The folder with a split's classes, also in `train/train/<class>`."""
    while True:
        contents = look(place)
        if not contents.of_folders or len(contents.folders) != 1:
            return place
        [name] = contents.folders
        same = role(name) is not None and role(name) == role(place.name)
        between = name.lower() in BETWEEN and look(place / name).of_folders
        if not (name.lower() == place.name.lower() or same or between):
            return place
        place = place / name


def _holds_splits(place):
    """Whether a folder holds splits itself, not only classes with such names."""
    named = [name for name in visible_folders(place) if role(name)]
    several = len({role(name) for name in named}) > 1
    return several and any(look(place / name).of_folders for name in named)


def _named_by_split(names):
    """The names, if each is a common word with the name of a split: pets_train,
    pets_test. Otherwise an empty list."""
    roles = {}
    for name in names:
        words = re.split(r"[-_. ]+", name.lower())
        found = [word for word in words if role(word)]
        if len(found) != 1:
            return []
        words.remove(found[0])
        roles.setdefault(tuple(words), set()).add(role(found[0]))
    return names if all(len(found) > 1 for found in roles.values()) else []


def _alike(first, second):
    """Whether half of the folder names in one of two folders are in the other too."""
    a, b = ({name.lower() for name in one.folders} for one in (first, second))
    return bool(a and b) and 2 * len(a & b) >= min(len(a), len(b))


def _most(folders, names):
    """Whether at least two and at least half of the folders have one of the names."""
    common = len(folders & set(names))
    return common >= 2 and 2 * common >= len(folders)


def _one_folder_each(folder, names):
    """Whether each holds a single folder, as in <class>/images/*: if they were splits,
    they would have only one class."""
    looks = [look(folder / name) for name in names]
    return all(one.of_folders and len(one.folders) == 1 for one in looks)


def _slashed(names):
    return listed([f"{name}/" for name in names], 4)
