"""Makes the public builder of one row of `variants.py`."""

import inspect


def named_variant(general, public_name, row, summary):
    """The function `public_name`: `general` with the architecture of `row`.

    Args:
        general: builder such as `T2TViT`.
        public_name: name of the new function.
        row: row of `variants.py`.
        summary: first line of its docstring.
    """
    signature = inspect.signature(general)
    signature = signature.replace(
        parameters=[
            parameter.replace(default=row.default_name)
            if parameter.name == "name"
            else parameter
            for parameter in signature.parameters.values()
            if parameter.name not in row.architecture
        ]
    )

    def build(*args, **kwargs):
        arguments = signature.bind(*args, **kwargs)
        arguments.apply_defaults()
        return general(**row.architecture, **arguments.arguments)

    build.__name__ = build.__qualname__ = public_name
    build.__module__ = general.__module__
    build.__signature__ = signature
    build.__doc__ = (
        f"{summary}\n\nArguments, outputs and errors are those of "
        f"`keras_t2t.{general.__name__}`."
    )
    return build
