"""Finding a model's builder by its public name."""

import difflib

from keras_t2t.models import t2t_vit, vit
from keras_t2t.models.resnet50 import ResNet50
from keras_t2t.models.variants import VARIANTS, VIT_VARIANTS

BUILDERS = {
    **{name: getattr(t2t_vit, name) for name in VARIANTS},
    **{name: getattr(vit, name) for name in VIT_VARIANTS},
    "ResNet50": ResNet50,
}


def builder(name):
    """The function that builds the model called `name`, such as `"T2TViT14"`.

    Raises:
        ValueError: if there is no such model; the message names the closest.
    """
    if name not in BUILDERS:
        close = difflib.get_close_matches(name, BUILDERS, n=3, cutoff=0.3)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise ValueError(
            f"unknown model {name!r}: {hint}There are {', '.join(BUILDERS)}"
        )
    return BUILDERS[name]
