"""A torch ExportedProgram."""

import warnings

from keras_t2t.export.precision import in_precision


def write(model, path, options):
    """Writes the file `path`, which `torch.export.load` reads."""
    import torch

    model = in_precision(model, options.precision)
    torch.export.save(exported_program(model, options), path)


def exported_program(model, options):
    """The model as a graph of ATen operators: `image` -> dict of the outputs."""
    import torch

    class Served(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, image):
            outputs = self.model(image, training=False)
            return {name: value.float() for name, value in outputs.items()}

    # A size of 1 would become a constant of the graph.
    sample = torch.zeros(
        (2 if options.dynamic_batch else 1, *model.inputs[0].shape[1:])
    )
    batch = {0: torch.export.Dim("batch")} if options.dynamic_batch else None
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return torch.export.export(
            Served().eval(), (sample,), dynamic_shapes={"image": batch}, strict=False
        )
