"""The learning curve of a run as a PNG."""

from keras_t2t._ground.files import replacing

PANELS = {
    "loss": ("loss", "val_loss", "val_loss_ema"),
    "top-1": ("top1", "val_top1", "val_top1_ema"),
}


def draw_curves(history, path, title):
    """Loss and top-1 over the epochs, of training, validation and average.

    Args:
        history: list of dict, one per epoch.
        path: where the PNG goes.
        title: str.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    epochs = range(1, len(history) + 1)
    for axes, (label, names) in zip(
        figure.subplots(1, len(PANELS)), PANELS.items(), strict=True
    ):
        for name in names:
            if name in history[-1]:
                values = [row.get(name, float("nan")) for row in history]
                axes.plot(epochs, values, label=name, marker="." * (len(history) < 40))
        axes.set(xlabel="epoch", ylabel=label)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
