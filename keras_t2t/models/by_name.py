"""Finding a model's builder by its public name."""

from keras_t2t.models import resnet50, t2t_vit, vit
from keras_t2t.variants import family_of

MODULES = {"t2t_vit": t2t_vit, "vit": vit, "resnet": resnet50}


def builder(name):
    """The function that builds the model called `name`, such as `"T2TViT14"`.

    Raises:
        ValueError: if there is no such model; the message names the closest.
    """
    return getattr(MODULES[family_of(name)], name)
