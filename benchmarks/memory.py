"""Memory of a process, a device and a forward pass, in bytes."""

import resource


def on_gpu(backend):
    if backend == "torch":
        import torch

        return torch.cuda.is_available()
    if backend == "jax":
        import jax

        return jax.default_backend() == "gpu"
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def process_peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def device_peak(backend):
    """Peak on the accelerator, None on a CPU."""
    if not on_gpu(backend):
        return None
    if backend == "torch":
        import torch

        return torch.cuda.max_memory_allocated()
    if backend == "jax":
        import jax

        return jax.local_devices()[0].memory_stats()["peak_bytes_in_use"]
    import tensorflow as tf

    return tf.config.experimental.get_memory_info("GPU:0")["peak"]


def torch_saved(model, images):
    """What a forward pass leaves allocated while its output lives."""
    import torch

    images = torch.as_tensor(images)
    if images.is_cuda:
        before = torch.cuda.memory_allocated()
        output = model(images)
        return torch.cuda.memory_allocated() - before
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        output = model(images)
    del output
    return sum(event.self_cpu_memory_usage for event in profiler.key_averages())


def jax_saved(model, images):
    """What JAX passes from the forward to the backward pass, weights left out."""
    import jax

    trainable = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]

    def residuals(trainable):
        def outputs(trainable):
            return model.stateless_call(trainable, others, images, training=True)[0]

        return jax.tree.leaves(jax.vjp(outputs, trainable)[1])

    jaxpr = jax.make_jaxpr(residuals)(trainable).jaxpr
    weights = {*map(id, jaxpr.invars), *map(id, jaxpr.constvars)}
    kept = {id(out): out.aval for out in jaxpr.outvars if not hasattr(out, "val")}
    return sum(
        aval.size * aval.dtype.itemsize
        for key, aval in kept.items()
        if key not in weights
    )
