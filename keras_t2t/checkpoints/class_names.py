"""Names of a model's classes, in the order of their labels."""

import json

from keras_t2t.arguments import shown

LARGEST = 64 << 20  # bytes

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


def read_class_names(path, classes=None):
    """Class names in a file.

    Args:
        path: a JSON list of text.
        classes: int, how many there must be; None: any number.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it holds anything else.
    """
    names = read_json(path)
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not is_list or classes not in (None, len(names)):
        number = "" if classes is None else f"{classes} "
        raise ValueError(f"{shown(path)} must hold a JSON list of {number}class names")
    return names


def read_json(path):
    """What a JSON file holds.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no JSON, or larger than any of use.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ValueError(f"it has more than {LARGEST} bytes")
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{shown(path)} is no JSON: {reason}") from None
