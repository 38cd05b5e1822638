"""A model that also learns from a teacher: distillation, and token labelling.

Token labelling (Jiang et al., "All Tokens Matter", 2021, arXiv:2104.10858) gives every
patch token a label of its own: what the teacher sees at its place. The authors read
these from files that a large network wrote. Here the teacher looks at the same image as
the student, after mixup and CutMix, so that no label needs to be mixed.
"""

import keras
from keras import ops

from keras_t2t.classifier import find_classifier
from keras_t2t.models.feature_grids import token_grid
from keras_t2t.training.accuracy import check_classes

RESNET50 = "ResNet50"
LAST_GRID = "conv5_block3_out"  # of a ResNet50


class TaughtModel(keras.Model):
    """A functional student whose loss has a term for its teacher, which gives logits on
    a grid `(batch, rows, columns, classes)`: the divergence from these of its patch
    tokens if it has token labelling, else of its class token from their mean. In
    training the model gives a dict of logits, otherwise the student's output."""

    def __init__(self, student, teacher, weight):
        super().__init__(student.inputs, student.outputs, name=student.name)
        teacher.trainable = False
        self.teacher, self.weight = teacher, weight
        self.labels_tokens = has_token_labels(student)
        logits = {"classes": student.get_layer("head").output}
        if self.labels_tokens:
            logits["tokens"] = student.get_layer("aux_head").output
        self.student = keras.Model(student.inputs, logits)

    def call(self, inputs, training=None, mask=None):
        if training:
            return self.student(inputs, training=True)
        return super().call(inputs, training=training, mask=mask)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        if not isinstance(y_pred, dict):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        classes = y_pred["classes"]
        loss = super().compute_loss(x, y, classes, sample_weight, training)
        seen = ops.stop_gradient(self.teacher(x, training=False))
        if self.labels_tokens:
            learned = y_pred["tokens"]
            seen = ops.reshape(seen, (-1, learned.shape[1], seen.shape[-1]))
        else:
            learned, seen = classes, ops.mean(seen, axis=(1, 2))
        if sample_weight is not None and self.labels_tokens:
            sample_weight = sample_weight[:, None]
        divergence = keras.losses.KLDivergence()(
            ops.softmax(seen), ops.softmax(learned), sample_weight
        )
        return loss + self.weight * divergence

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        if isinstance(y_pred, dict):
            y_pred = y_pred["classes"]
        return super().compute_metrics(x, y, y_pred, sample_weight)


def taught(student, config):
    """`student` with the teacher that `config.teacher` names."""
    shape = student.input_shape[1:]
    model = teacher_model(config.teacher, shape)
    grid = token_grid(student) if has_token_labels(student) else None
    return TaughtModel(student, logits_on_grid(model, grid), config.teacher_weight)


def has_token_labels(model):
    return any(layer.name == "aux_head" for layer in model.layers)


def check_teacher(name, dataset):
    """Raises a ValueError unless `name` is a classifier of the data set's classes."""
    classes, names = 1000, None
    try:
        if name != RESNET50:
            found = find_classifier(name)
            classes, names = found.classes, found.class_names
        check_classes(dataset, classes, names, name)
    except (ValueError, OSError) as error:
        raise ValueError(f"teacher={str(name)!r}: {error}") from None


def teacher_model(name, input_shape):
    """The classifier, for RGB pixels 0..255 of this size."""
    if name != RESNET50:
        classifier = find_classifier(name)
        return classifier.build(input_shape=input_shape, classifier_activation=None)
    image = keras.Input(input_shape)
    resnet = keras.applications.ResNet50(
        weights="imagenet",
        input_tensor=keras.applications.resnet50.preprocess_input(image),
    )
    return keras.Model(image, resnet.output)


def logits_on_grid(model, grid=None):
    """A classifier's logits (batch, rows, columns, classes) at each place of an image,
    resized to `grid` bilinearly; if that is None, their mean is its answer.

    A ResNet50's last Dense is applied at each place of its last grid; a T2T-ViT with
    token labelling has logits for each token; other models see the image as a whole,
    as does that one without `grid`: its tokens are not all of its answer."""
    names = {layer.name for layer in model.layers}
    if LAST_GRID in names:
        trained = model.get_layer("predictions")
        dense = keras.layers.Dense(trained.units, name="logits_on_grid")
        x = dense(model.get_layer(LAST_GRID).output)
        dense.set_weights(trained.get_weights())
    elif has_token_labels(model) and grid is not None:
        x = model.get_layer("aux_head").output
        x = keras.layers.Reshape((*token_grid(model), x.shape[-1]))(x)
    else:
        x = keras.layers.Reshape((1, 1, -1))(model.output)
    if grid is not None and tuple(x.shape[1:3]) != tuple(grid):
        x = keras.layers.Resizing(*grid, data_format="channels_last")(x)
    return keras.Model(model.inputs, x, name="teacher")
