"""The backends of Keras that this package runs on, in the order of preference."""

BACKENDS = ("jax", "tensorflow", "torch")
