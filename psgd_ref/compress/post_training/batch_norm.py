"""Re-estimation of batch-norm statistics on unlabelled images."""

from psgd_ref.core.arguments import Array, some_images, whole_number
from psgd_ref.nn import BatchNorm, Dropout, Model
from psgd_ref.nn.model import check_model
from psgd_ref.nn.parameters import named_layers


def reestimate_batch_norm(model: Model, images: Array, batch_size: int = 500) -> None:
    """Replace every running mean and variance by their averages over `images`. Modifies `model`.

    After quantization or pruning the layers' inputs have other means than in training; this corrects it
    and trains nothing. The average is over batches of equal weight; dropout is off.

    Parameters
    ----------
    images
        (N, H, W, C) as the model takes them, N ≥ 1; no labels are needed. They should be training images
        changed at random as training changed them, `data.as_trained(5000, model.augment)`: on images that a
        network has fitted, unchanged, its statistics differ from those on new ones.

    Raises
    ------
    ValueError
        For no images, and for images that are not finite.
    """
    check_model(model)
    layers = [layer for _, layer in named_layers(model.net)]
    norms = [layer for layer in layers if isinstance(layer, BatchNorm)]
    dropouts = [layer for layer in layers if isinstance(layer, Dropout)]
    if not norms:
        return
    some_images(images, "re-estimation")
    size = whole_number("batch_size", batch_size, 1)
    momenta = [norm.momentum for norm in norms]
    dropped = [(layer.p, layer.draws) for layer in dropouts]
    try:
        # As in evaluation, for which the statistics are.
        for layer in dropouts:
            layer.p = 0.0
        for k, start in enumerate(range(0, len(images), size)):
            for norm in norms:
                norm.momentum = 1 / (k + 1)
            model.forward(images[start : start + size], training=True)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for layer, (p, draws) in zip(dropouts, dropped, strict=True):
            layer.p, layer.draws = p, draws
