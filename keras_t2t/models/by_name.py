"""Finding a model's builder by its public name."""

import difflib

from keras_t2t.models import resnet50, t2t_vit, vit
from keras_t2t.variants import FAMILIES

MODULES = {"t2t_vit": t2t_vit, "vit": vit, "resnet": resnet50}


def builder(name):
    """The function that builds the model called `name`, such as `"T2TViT14"`.

    Raises:
        ValueError: if there is no such model; the message names the closest.
    """
    for family, table in FAMILIES.items():
        if name in table:
            return getattr(MODULES[family], name)
    names = [name for table in FAMILIES.values() for name in table]
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.3)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise ValueError(f"unknown model {name!r}: {hint}There are {', '.join(names)}")
