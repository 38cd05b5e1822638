"""The model of a run, with the loss, the optimizer and the metrics of its recipe."""

import keras
import numpy as np

from keras_t2t._ground.normalizations import NORMALIZATIONS
from keras_t2t.checkpoints.adapters import add_adapters, train_only
from keras_t2t.models.by_name import builder
from keras_t2t.models.head import head_layers
from keras_t2t.preprocessing import pixel_model
from keras_t2t.training.losses import BalancedCrossentropy, BinaryCrossentropy
from keras_t2t.training.optimizer import adamw, fine_tuning_sgd, finished, lamb
from keras_t2t.training.own import Own
from keras_t2t.training.own_model import check_loss, compute_dtypes, gives_probabilities
from keras_t2t.training.schedule import WarmupCosineCooldown
from keras_t2t.training.teaching import taught
from keras_t2t.variants import VARIANTS


def compiled_model(config, dataset, own=None, say=print):
    """The model for RGB pixels 0..255, with its loss, optimizer and metrics, and all
    variables created; `own` has parts that replace the recipe's. A ValueError if a part
    does not fit; `say` prints a line."""
    own, num_classes = own or Own(), dataset.num_classes
    if own.model is not None:
        not_pixels = getattr(dataset, "not_pixels", None)
        model = own.built_model(config.image_size, num_classes, say, not_pixels)
    else:
        model = recipe_model(config, num_classes)
    if config.linear_probe:
        train_only(model, [w for head in head_layers(model) for w in head.weights])
    if config.lora:
        add_adapters(model, config.lora)
    if config.teacher is not None:
        model = taught(model, config)
    if own.optimizer is None:
        optimizer = recipe_optimizer(model, config)
    else:
        optimizer = finished(own.made_optimizer(), model, scales_loss(model, config))
    own.check_rate(optimizer)
    if own.loss is None:
        loss = recipe_loss(config, dataset.class_counts, mixed=not own.augments)
    else:
        loss = own.loss
        check_loss(loss, model)
    model.compile(
        optimizer=optimizer,
        loss=loss,
        # Under mixup these count the dominant label. Padding has weight 0.
        weighted_metrics=[
            top1(model, num_classes),
            keras.metrics.TopKCategoricalAccuracy(k=min(5, num_classes), name="top5"),
        ],
        auto_scale_loss=False,  # done above, which keeps the average
    )
    # Metrics create their variables when first used, but a snapshot needs them now.
    zeros = np.zeros((1, num_classes), "float32")
    model.compute_metrics(zeros, zeros, keras.ops.convert_to_tensor(zeros), None)
    model.reset_metrics()
    return model


def top1(model, num_classes):
    """The metric; one output tells two classes apart."""
    if num_classes > 1:
        return keras.metrics.CategoricalAccuracy(name="top1")
    threshold = 0.5 if gives_probabilities(model) else 0.0

    def right(targets, outputs):
        same = keras.ops.equal(targets > 0.5, outputs > threshold)
        return keras.ops.cast(same[:, 0], "float32")

    metric = keras.metrics.MeanMetricWrapper(right, name="top1")
    metric._direction = "up"  # for callbacks that look for the best
    return metric


def scales_loss(model, config):
    """Whether the loss is scaled: in float16, also of a model that was built in it."""
    return config.mixed_precision == "float16" or "float16" in compute_dtypes(model)


def recipe_model(config, num_classes):
    """The model that the settings name, for RGB pixels 0..255."""
    arguments = {}
    if config.linear_probe and config.model in VARIANTS:
        # Else the frozen backbone would differ from inference.
        arguments["token_dropout"] = 0.0
    mean, std = NORMALIZATIONS[config.normalization]
    return pixel_model(
        builder(config.model),
        (config.image_size, config.image_size, 3),
        mean,
        std,
        classes=num_classes,
        classifier_activation=None,
        drop_path=config.drop_path,
        **arguments,
    )


def recipe_loss(config, class_counts, mixed=True):
    """Cross entropy with smoothed labels; `mixed` as of `BinaryCrossentropy`."""
    smoothing = config.label_smoothing
    if config.loss == "binary_crossentropy":
        return BinaryCrossentropy(smoothing, mixed)
    if config.class_weights == "balanced":
        return BalancedCrossentropy(class_counts, smoothing)
    return keras.losses.CategoricalCrossentropy(True, smoothing)


def recipe_optimizer(model, config):
    rates = learning_rates(config)
    settings = {
        "clip_norm": config.clip_norm or None,
        "accumulation": config.gradient_accumulation,
        "ema_decay": config.ema_decay,
        "total_steps": config.epochs * config.steps_per_epoch,
        "scale_loss": scales_loss(model, config),
    }
    if config.optimizer == "lamb":
        return lamb(model, rates, config.weight_decay, **settings)
    if config.optimizer == "adamw":
        layer_decay = 1.0 if config.linear_probe else config.layer_decay
        settings |= {"backbone_rate": config.backbone_rate, "layer_decay": layer_decay}
        return adamw(model, rates, config.weight_decay, **settings)
    backbone = learning_rates(config, config.backbone_rate)
    return fine_tuning_sgd(model, rates, backbone, config.weight_decay, **settings)


def learning_rates(config, share=1.0):
    """The schedule of the learning rate, with this share of its peak."""
    return WarmupCosineCooldown(
        share * config.learning_rate,
        config.epochs,
        config.steps_per_epoch,
        config.warmup_epochs,
        config.cooldown_epochs,
        config.rate_changes,
        config.final_learning_rate,
    )
