"""Finding a model's builder by its public name."""

import difflib

from keras_t2t.models import t2t_vit
from keras_t2t.models.variants import VARIANTS


def builder(name):
    """The function that builds the model called `name`, such as `"T2TViT14"`.

    Raises:
        ValueError: if there is no such model; the message names the closest.
    """
    if name not in VARIANTS:
        close = difflib.get_close_matches(name, VARIANTS, n=3, cutoff=0.3)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise ValueError(
            f"unknown model {name!r}: {hint}There are {', '.join(VARIANTS)}"
        )
    return getattr(t2t_vit, name)
