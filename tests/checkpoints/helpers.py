"""What the checkpoint tests share: models, oracles with random weights, files."""

import json
import zipfile

import keras
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

import keras_t2t
from benchmarks.fuzz import is_clear
from keras_t2t.checkpoints.architecture import architecture_of
from keras_t2t.checkpoints.fitting import Checkpoint, load_tensors
from keras_t2t.checkpoints.official import official_entries
from tests.reference import t2t_vit as reference

# float32 sums over up to 24 blocks in another order; the oracle itself is 4e-6 from
# its float64 self, and one wrong tensor moves logits by 1e-2 to 2.
TOLERANCE = 1e-4


# Small enough to build in no time; no row of the table of variants.
SMALL = {"embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2}


def build_oracle(variant, size, classes, **settings):
    settings = {"image_size": size, "num_classes": classes, **settings}
    if variant is None:
        return reference.T2TViT(**SMALL, **settings)
    return reference.build(variant, **settings)


def random_oracle(variant=None, size=(64, 64), classes=10, seed=0, **settings):
    """The torch oracle of a variant, None for `SMALL`, with large random weights.

    Its position table is random too: a sinusoid would hide that a table was rebuilt
    instead of loaded.
    """
    oracle = build_oracle(variant, size, classes, **settings)
    reference.randomize_(oracle, seed).eval()
    generator = torch.Generator().manual_seed(seed)
    oracle.pos_embed.data.normal_(generator=generator)
    return oracle


def resized_into(resized, oracle):
    """`resized`, built for another size, with the weights of `oracle`; its table is
    resized by torch, as the authors do."""
    old, new = ([side // 16 for side in o.image_size] for o in (oracle, resized))
    table = oracle.pos_embed.data  # (1, 1 + rows * columns, width)
    grid = table[:, 1:].reshape(1, *old, -1).permute(0, 3, 1, 2)
    grid = torch.nn.functional.interpolate(
        grid, size=new, mode="bicubic", align_corners=False
    )
    grid = grid.permute(0, 2, 3, 1).flatten(1, 2)
    table = torch.cat([table[:, :1], grid], dim=1)
    resized.load_state_dict({**oracle.state_dict(), "pos_embed": table})
    return resized.eval()


def build(variant=None, size=(64, 64), classes=10, **kwargs):
    settings = {"input_shape": (*size, 3), "classes": classes}
    settings |= {"classifier_activation": None, **kwargs}
    if variant is None:
        return keras_t2t.T2TViT(**{**SMALL, **settings})
    return getattr(keras_t2t, variant)(**settings)


def save(model, path):
    """By whatever writes files of this name; an oracle by torch. Returns the path."""
    if not isinstance(model, keras.Model):  # which may be a module of torch as well
        torch.save({"state_dict": model.state_dict()}, path)
    elif path.suffix == ".keras":
        model.save(path)
    elif path.suffix == ".h5":
        model.save_weights(path)
    else:
        keras_t2t.save_official(model, path)
    return path


def rewrite(path, records, method=zipfile.ZIP_STORED):
    """Replaces records of a zip, or drops those that are None; returns the path."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()} | records
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in records.items():
            if data is not None:
                archive.writestr(name, data)
    return path


def change_config(path, change):
    """Changes the configuration in a .keras by a function, in place."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    change(config)
    rewrite(path, {"config.json": json.dumps(config)})


def load_state_dict(model, state_dict):
    """Fills every weight of `model` from official names and NumPy arrays."""
    shapes = {name: np.shape(tensor) for name, tensor in state_dict.items()}
    checkpoint = Checkpoint(state_dict, {}, architecture_of(shapes))
    load_tensors(model, checkpoint, "the state dict")


def assert_holds(model, oracle):
    """Every weight of `model` is the oracle's, bit for bit."""
    state_dict = oracle.state_dict()
    entries = official_entries(model)
    assert {entry.name for entry in entries} == set(state_dict)
    for entry in entries:
        actual = entry.layout.to_torch(np.array(entry.variable.numpy()))
        expected = state_dict[entry.name].numpy()
        np.testing.assert_array_equal(actual, expected, err_msg=entry.name)


def assert_same_logits(model, oracle):
    image = Image.fromarray(load_sample_image("china.jpg"))
    image = image.resize(oracle.image_size[::-1], Image.BICUBIC)
    x = keras_t2t.preprocess_input(np.asarray(image)[None])
    with torch.no_grad():
        expected = oracle(torch.from_numpy(x).permute(0, 3, 1, 2)).numpy()
    # Compiled, which JAX does faster than operation by operation.
    actual = model.predict(x, verbose=0)
    assert np.ptp(expected) > 1  # else the tolerance would say nothing
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE)


def refusal(function, *arguments, match=None, error=(ValueError, OSError)):
    """The one line of ours that says why a call is refused."""
    with pytest.raises(error, match=match) as caught:
        function(*arguments)
    assert is_clear(caught.value), caught.value
    return str(caught.value)


def assert_refused(model, path, match=None):
    """The file does not load, one line of ours says why, and nothing is changed."""
    before = arrays(model)
    message = refusal(keras_t2t.load_checkpoint, model, path, match=match)
    np.testing.assert_equal(arrays(model), before)
    return message


def arrays(model):
    """A copy of all weights."""
    return {weight.path: np.array(weight.numpy()) for weight in model.weights}


def assert_equal_weights(model, other, but=()):
    """Bit-exact, but for the layers named in `but`."""
    ours, theirs = arrays(model), arrays(other)
    for path, array in ours.items():
        if path.split("/")[0] not in but:
            np.testing.assert_array_equal(array, theirs[path], err_msg=path)
