"""What the measurements ask of a backend."""


def exact_float32(backend, precision):
    """No TF32 behind the name of float32."""
    if backend == "torch":
        import torch

        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    if backend == "jax" and precision == "float32":
        import jax

        jax.config.update("jax_default_matmul_precision", "highest")


def on_gpu(backend):
    if backend == "torch":
        import torch

        return torch.cuda.is_available()
    if backend == "jax":
        import jax

        return jax.default_backend() == "gpu"
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
