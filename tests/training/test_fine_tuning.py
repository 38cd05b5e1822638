"""Training from weights: the authors' optimizer, what is trained, what is kept."""

import types

import keras
import numpy as np
import pytest
import torch

from keras_t2t.classifier import Classifier, find_classifier
from keras_t2t.data.digits import Digits
from keras_t2t.training import TrainingConfig
from keras_t2t.training.compiled_model import compiled_model, learning_rates
from keras_t2t.training.optimizer import fine_tuning_sgd
from keras_t2t.training.source import has_these_classes, like_its_source
from tests.training import recipe
from tests.training.conftest import assert_close, record, weights
from tests.training.test_accuracy import data
from tests.training.test_optimizer import apply

pytestmark = pytest.mark.once


@pytest.mark.every_backend
@pytest.mark.parametrize("accumulation", [1, 4])
def test_the_optimizer_is_torch_s_at_two_rates(accumulation):
    """Both rates fall with the steps, also where an update takes several."""
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(5, name="body")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, name="head")(hidden))
    steps = {"epochs": 3, "steps_per_epoch": 2 * accumulation}
    config = TrainingConfig(weights="imagenet", **steps).with_defaults("cifar10", 3)
    rates = learning_rates(config), learning_rates(config, config.backbone_rate)
    settings = {"weight_decay": config.weight_decay, "accumulation": accumulation}
    optimizer = fine_tuning_sgd(model, *rates, **settings)
    trained = model.trainable_weights
    weights = [torch.tensor(w.numpy(), requires_grad=True) for w in trained]
    groups = {"params": weights[:2], "lr": 0.01 * 0.05}, {"params": weights[2:]}
    oracle = torch.optim.SGD(groups, lr=0.05, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(oracle, 3, eta_min=2e-4)
    random = np.random.default_rng(0)
    for step in range(6):
        gradients = [random.normal(size=w.shape).astype("float32") for w in weights]
        for _ in range(accumulation):
            ours = apply(model, optimizer, gradients)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = torch.from_numpy(gradient)
        oracle.step()
        if step % 2:
            schedule.step()
        # six float32 updates of size 0.1 each
        assert_close(ours, [w.detach() for w in weights], atol=1e-6)


@pytest.mark.nightly_elsewhere
@pytest.mark.parametrize("probe", [False, True])
def test_what_is_trained(source, tiny_run, tmp_path, probe):
    """All, the final norm and the class token too; in a linear probe the head alone."""
    # On the tiny data, whose name is that of the digits.
    rates = {"learning_rate": 0.05, "backbone_rate": 0.5}
    tiny_run(weights=source, linear_probe=probe, epochs=1, **rates)
    recorded = record(tmp_path / "run")
    assert (recorded["weights"], recorded["crop"]) == (source, 1.0)
    before, after = weights(source), weights(tmp_path / "run")
    for path, array in before.items():
        fixed = "position_embedding" in path or "preprocessing" in path
        fixed = fixed or (probe and not path.startswith("head"))
        assert np.array_equal(array, after[path]) == fixed, path
    model = keras.saving.load_model(tmp_path / "run" / "final.keras")
    assert len(model.trainable_weights) > 2  # it can be trained further


def test_a_run_is_trained_on_with_its_head(source, tiny_run, tmp_path, capsys):
    """At a rate of nearly nothing it stays, unless a fresh one is asked for."""
    nearly = {"weights": source, "learning_rate": 1e-12, "epochs": 1, "overwrite": True}
    nearly["seed"] = 1  # at 0 a fresh head is the source's
    before = weights(source)
    for settings, kept in (({}, True), ({"fresh_head": True}, False)):
        tiny_run(**nearly, **settings)
        after = weights(tmp_path / "run")
        for path, array in before.items():
            assert np.allclose(after[path], array) == (kept or path != "head/kernel")
        assert (" with its head, training all" in capsys.readouterr().out) == kept
        assert record(tmp_path / "run")["fresh_head"] is not kept
    with pytest.raises(ValueError, match=r"epochs: the run has 1, now 3\. .*weights='"):
        tiny_run(weights=source, learning_rate=1e-12, epochs=3, resume=True)
    assert not has_these_classes(find_classifier(source), Digits())
    run = types.SimpleNamespace(run={}, class_names=["\xe4", "b"])
    assert has_these_classes(run, data("a\u0308", "b"))  # as macOS writes it


def test_a_probed_backbone_is_in_inference(monkeypatch):
    """Performer tokens have dropout unless told otherwise, at any drop_path."""
    builder = "keras_t2t.training.compiled_model.builder"
    monkeypatch.setattr(builder, lambda name: recipe.performer)
    settings = {"weights": "imagenet", "linear_probe": True, "image_size": 32}
    config = TrainingConfig(**settings).with_defaults("cifar10", 10, 500)
    layers = compiled_model(config, Digits())._flatten_layers()
    # Nothing else here depends on the mode; a stochastic forward pass takes longer.
    rates = [x.rate for x in layers if isinstance(x, keras.layers.Dropout)]
    assert rates and not any(rates)


def test_wrong_weights_are_told_what_comes_close(tmp_path, monkeypatch):
    (tmp_path / "flowers").mkdir()
    monkeypatch.chdir(tmp_path)
    for wrong, near in (("imagnet", "imagenet"), ("flowrs", "flowers")):
        with pytest.raises(FileNotFoundError, match=f"OWNER/NAME; did you mean {near}"):
            find_classifier(wrong)


def test_random_weights_are_none_to_start_from(tiny_run, tmp_path):
    with pytest.raises(ValueError, match="weights='random': a run without weights"):
        tiny_run(weights="random")
    assert not (tmp_path / "run").exists()


def test_a_run_folder_as_a_source(source, tmp_path):
    found = find_classifier(source)
    assert found.weights.name == "final.keras"
    assert (found.variant, found.size, found.classes) == ("T2TViT7", (32, 32), 4)
    assert (found.crop, found.class_names) == (0.9, list("abcd"))
    assert find_classifier(source, ema=True).weights.name == "final_ema.keras"
    for name, told in (("final_ema", "averaged no"), ("final", "is not finished")):
        (tmp_path / "source" / f"{name}.keras").unlink()
        with pytest.raises(ValueError, match=rf"no {name}\.keras: its run {told}"):
            find_classifier(source, ema=name == "final_ema")
    best = find_classifier(f"{source}/best.weights.h5")
    assert (best.variant, best.classes) == ("T2TViT7", 4)
    with pytest.raises(ValueError, match="--ema chooses the "):
        find_classifier("imagenet", ema=True)


@pytest.mark.every_backend
def test_an_average_inside_the_optimizer_begins_with_the_weights(
    source, tiny_run, tmp_path
):
    parts = {"optimizer": keras.optimizers.ScheduleFreeAdamW(1e-9)}
    settings = {"fresh_head": False, "learning_rate": None, "seed": 1}
    tiny_run(weights=source, epochs=1, parts=parts, **settings)
    before, after = weights(source), weights(tmp_path / "run")
    for path, array in before.items():
        np.testing.assert_allclose(after[path], array, atol=1e-4, err_msg=path)


def test_pixels_and_validation_are_those_of_the_run_whose_weights_it_starts_from(
    tmp_path, monkeypatch
):
    """Images that trained the weights do not validate."""
    monkeypatch.chdir(tmp_path)
    run = {"dataset": None, "data_dir": str(tmp_path / "photos")}
    run |= {"normalization": "cifar", "validation_share": 0.5}
    source = Classifier("run", "T2TViT7", (32, 32), 4, run=run)
    for asked, expected in (
        ({"data_dir": "photos"}, ("cifar", 0.5)),
        ({"data_dir": "other"}, ("cifar", None)),
        ({"data_dir": "other", "normalization": "imagenet"}, ("imagenet", None)),
        ({"data_dir": "photos", "validation_share": 0.1}, ("cifar", 0.1)),
    ):
        config = like_its_source(TrainingConfig(weights="run", **asked), source)
        assert (config.normalization, config.validation_share) == expected
    published = source._replace(run=None)
    assert like_its_source(TrainingConfig(weights="x"), published).normalization is None
