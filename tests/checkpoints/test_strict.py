"""Every tensor is used and every weight set, or the error says what is not."""

import logging

import keras
import numpy as np
import pytest
import torch

import keras_t2t
from keras_t2t.checkpoints.position_table import table_grid
from keras_t2t.variants import VARIANTS
from tests.checkpoints import helpers


@pytest.fixture(scope="module")
def oracle():
    return helpers.random_oracle()


@pytest.fixture(scope="module")
def model():
    return helpers.build()


@pytest.fixture
def save(tmp_path):
    """Function: content of a torch file -> its path."""

    def save(content):
        torch.save(content, tmp_path / "x.pth.tar")
        return tmp_path / "x.pth.tar"

    return save


# At equal sizes, all variants: tests/models/test_parity.py, and below.
@pytest.mark.every_backend
@pytest.mark.parametrize(
    "variant",
    ["T2TViT7", pytest.param("T2TViTt14", marks=pytest.mark.nightly_elsewhere)],
)
def test_a_checkpoint_gives_the_oracle_s_logits_at_another_size(variant, tmp_path):
    oracle = helpers.random_oracle(variant)
    path = helpers.save(oracle, tmp_path / "x.pth.tar")
    model = helpers.build(variant, (48, 80), weights=path)
    resized = helpers.build_oracle(variant, (48, 80), 10)
    helpers.assert_same_logits(model, helpers.resized_into(resized, oracle))


@pytest.mark.nightly
@pytest.mark.parametrize("variant", VARIANTS)
def test_from_224_to_384_and_to_a_wide_image(variant, tmp_path):
    oracle = helpers.random_oracle(variant, (224, 224))
    path = helpers.save(oracle, tmp_path / "x.pth.tar")
    for size in ((224, 224), (384, 384), (96, 160)):
        model = helpers.build(variant, size, weights=path)
        resized = helpers.build_oracle(variant, size, 10)
        helpers.assert_same_logits(model, helpers.resized_into(resized, oracle))


def test_every_difference_is_listed_and_nothing_is_changed(model, oracle, save):
    state_dict = oracle.state_dict()
    del state_dict["norm.weight"]
    state_dict["blocks.0.attn.extra"] = torch.zeros(3)
    state_dict["blocks.1.mlp.fc1.bias"] = torch.zeros(5)
    message = helpers.assert_refused(model, save(state_dict), "does not fit t2t_vit")
    assert "missing: norm.weight, for the weight norm/gamma" in message
    assert "left over: blocks.0.attn.extra" in message
    assert "shape differs: blocks.1.mlp.fc1.bias (5,), while" in message


def last_is(value):
    def change(tensor):
        tensor.view(-1)[-1] = value
        return tensor

    return change


REFUSED = {  # a tensor, what becomes of it, what is said
    "no bias": ("head.bias", None, "missing: head.bias"),
    "no kernel": ("head.weight", None, "missing: head.weight"),
    "integers": ("head.weight", torch.Tensor.long, "type differs: head.weight is"),
    "bools": ("pos_embed", torch.Tensor.bool, "type differs: pos_embed is"),
    "complex": ("pos_embed", torch.Tensor.cfloat, "type differs: pos_embed is"),
    "NaN": ("head.weight", last_is(np.nan), "not finite: head.weight has NaN"),
    "infinity": ("norm.bias", last_is(np.inf), "not finite: norm.bias has NaN"),
    "beyond float32": ("norm.bias", lambda x: x.double() + 1e300, "not finite: norm.b"),
    "more positions than memory": (
        *("pos_embed", lambda tensor: tensor[:, :1].expand(1, 10**11 + 1, 32)),
        "100000000001 positions, more than the",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_one_tensor_that_does_not_fit(case, model, oracle, save):
    name, change, match = REFUSED[case]
    state_dict = oracle.state_dict()
    tensor = state_dict.pop(name)
    if change is not None:
        state_dict[name] = change(tensor.clone())
    message = helpers.assert_refused(model, save(state_dict), match)
    assert len(message.splitlines()) <= 2


def test_two_tensors_for_one_weight(model, oracle, save):
    state_dict = oracle.state_dict()
    state_dict["module.norm.bias"] = state_dict["norm.bias"] + 1
    helpers.assert_refused(model, save(state_dict), "two tensors for norm.bias: ")


def test_both_variants_are_named(oracle, save):
    path = save(helpers.random_oracle("T2TViT10").state_dict())
    with pytest.raises(ValueError, match=r"this is T2TViT10, but .* is T2TViT7$"):
        helpers.build("T2TViT7", weights=path)
    with pytest.raises(ValueError, match=r"performer tokens, 2 blocks of width 32"):
        helpers.build("T2TViT7", weights=save(oracle.state_dict()))


def test_another_class_count_keeps_the_fresh_head_and_says_so(oracle, save, caplog):
    keras.utils.set_random_seed(3)
    fresh = helpers.build(classes=4)
    keras.utils.set_random_seed(3)
    path = save(oracle.state_dict())
    with caplog.at_level(logging.INFO, "keras_t2t"):
        model = helpers.build(classes=4, weights=path)
    (record,) = caplog.records
    assert "head for 10 classes and the model for 4" in record.getMessage()
    head, fresh_head = model.get_layer("head"), fresh.get_layer("head")
    np.testing.assert_array_equal(head.kernel.numpy(), fresh_head.kernel.numpy())
    whole = helpers.build(weights=path)
    helpers.assert_equal_weights(model, whole, but=["head"])


def test_averaged_weights_are_chosen_by_ema(model, oracle, save):
    averaged = helpers.random_oracle(seed=1)
    tensors = {"state_dict_ema": averaged.state_dict(), "epoch": 3}
    path = save({**tensors, "state_dict": oracle.state_dict()})
    keras_t2t.load_checkpoint(model, path)
    helpers.assert_holds(model, averaged)
    keras_t2t.load_checkpoint(model, path, ema=False)
    helpers.assert_holds(model, oracle)


@pytest.mark.parametrize("key", ["state_dict", "net", None])
def test_prefixes_and_wrappings_of_the_released_files(key, model, oracle, save):
    state_dict = {f"module.{k}": v for k, v in oracle.state_dict().items()}
    content = state_dict if key is None else {key: state_dict, "acc": 98.3, "epoch": 1}
    keras_t2t.load_checkpoint(model, save(content))
    helpers.assert_holds(model, oracle)


def test_half_precision_checkpoints_load(model, oracle, save):
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        state_dict = {k: v.to(dtype) for k, v in oracle.state_dict().items()}
        keras_t2t.load_checkpoint(model, save(state_dict))
        expected = state_dict["cls_token"].float().numpy()
        class_token = model.get_layer("class_token").class_token
        np.testing.assert_array_equal(class_token.numpy(), expected)


def test_the_grid_can_be_given(save, caplog):
    """64 positions are 8 x 8 if nobody says that they are 4 x 16."""
    wide = helpers.random_oracle(size=(64, 256))
    model = helpers.build(size=(64, 256))
    path = save(wide.state_dict())
    keras_t2t.load_checkpoint(model, path, grid=(4, 16))
    helpers.assert_holds(model, wide)
    with caplog.at_level(logging.INFO, "keras_t2t"):
        keras_t2t.load_checkpoint(model, path)
    assert "position table" in caplog.text and "resized" in caplog.text


def test_the_grid_of_a_table():
    assert table_grid(197, None, (7, 28)) == (14, 14)  # square where it can be
    assert table_grid(61, None, (6, 10)) == (6, 10)  # else the model's
    assert table_grid(61, (10, 6), (6, 10)) == (10, 6)  # what is said wins
    for grid, told in ((None, "give `grid="), ((5, 5), r"but `grid` is \(5, 5\)")):
        with pytest.raises(ValueError, match=f"60 patch positions.*{told}"):
            table_grid(61, grid, (14, 14))


# The parts of names that are others in mmpretrain, written from its module tree.
MMPRETRAIN = {"blocks": "encoder", "norm1": "ln1", "norm2": "ln2"}
MMPRETRAIN |= {"mlp": "ffn.layers", "fc1": "0.0", "fc2": "1"}


def mmpretrain_name(name):
    if name.startswith("head."):
        return f"head.layers.{name}"
    parts = [MMPRETRAIN.get(part, part) for part in name.split(".")]
    return ".".join(["backbone", *parts])


def test_mmpretrain_names_load_and_are_told(save):
    oracle = helpers.random_oracle(token_type="transformer")
    tensors = {mmpretrain_name(k): v for k, v in oracle.state_dict().items()}
    model = helpers.build(token_type="transformer")
    keras_t2t.load_checkpoint(model, save({"meta": {}, "state_dict": tensors}))
    helpers.assert_holds(model, oracle)
    tensors["backbone.encoder.1.gamma"] = torch.zeros(3)
    path = save({"state_dict": tensors})
    helpers.assert_refused(model, path, "left over: backbone.encoder.1.gamma")
