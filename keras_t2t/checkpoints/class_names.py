"""Names of a model's classes, in the order of their labels."""

import json
from pathlib import Path

CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
CIFAR100 = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy "
    "bridge bus butterfly camel can castle caterpillar cattle chair chimpanzee clock "
    "cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish "
    "forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion "
    "lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange "
    "orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine "
    "possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper "
    "snail snake spider squirrel streetcar sunflower sweet_pepper table tank "
    "telephone television tiger tractor train trout tulip turtle wardrobe whale "
    "willow_tree wolf woman worm"
)

# By the name of the published weights.
CIFAR = {"cifar10": CIFAR10.split(), "cifar100": CIFAR100.split()}


def class_names(weights, published, classes, path=None):
    """The names that belong to `weights`.

    Args:
        weights: name of published weights, or the path of a checkpoint.
        published: what `published_weights` gives for it.
        classes: int, how many there are.
        path: None, or a file with the names as a JSON list; else they are those in
            `classes.json` beside the checkpoint, where there is one.

    Returns:
        List of `classes` names, or None where they are ImageNet's, of which Keras has
        the index.

    Raises:
        ValueError: if the file holds anything else.
    """
    if path is None and not published:
        beside = Path(weights).with_name("classes.json")
        path = beside if beside.is_file() else None
    if path is not None:
        names = read_json(path)
        if not is_list_of_names(names) or len(names) != classes:
            raise ValueError(f"{path} must hold a JSON list of {classes} class names")
        return names
    if published and published.name in CIFAR:
        return CIFAR[published.name]
    return None if classes == 1000 else [f"class {i}" for i in range(classes)]


def is_list_of_names(names):
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def read_json(path):
    """What a JSON file holds.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
