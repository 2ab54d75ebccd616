"""MLX on the CPU: affine quantization in groups, and the microscaling formats."""

from typing import Any

import numpy as np

from psgd_ref.experiments.peers.families import shared


def affine(w: Any, bits: int) -> Any:
    """`mx.quantize`, mode affine, groups of 64."""
    import mlx.core as mx

    return _there_and_back(mx, w, bits, group_size=64, mode="affine")


def mxfp4(w: Any, bits: int) -> Any:
    """`mx.quantize`, mode mxfp4, groups of 32."""
    import mlx.core as mx

    shared.only(bits, 4)
    return _there_and_back(mx, w, bits, group_size=32, mode="mxfp4")


def _there_and_back(mx: Any, w: Any, bits: int, **how: Any) -> Any:
    parts = mx.quantize(mx.array(w.astype(np.float32)), bits=bits, **how)
    return np.asarray(mx.dequantize(*parts, bits=bits, **how).astype(mx.float32)).astype(w.dtype)


def network(folder: str, bits: int = 0) -> dict[str, Any]:
    """`mlx.nn.quantize` of the perceptron, groups of 64, at the network's own bits or those given."""
    import mlx.core as mx
    from mlx import nn

    given = shared.read(folder)

    layers: list[Any] = []
    for name in given.layers:
        weight = given.weight(name)
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.weight, layer.bias = mx.array(weight), mx.array(given.bias(name))
        layers += [layer, nn.ReLU()]
    small, images = nn.Sequential(*layers[:-1]), mx.array(given.images)
    nn.quantize(small, group_size=64, bits=bits or given.bits)
    found: dict[str, Any] = {"logits": np.asarray(small(images))}
    for name, layer in zip(given.layers, small.layers[::2], strict=True):
        parts = (layer.weight, layer.scales, layer.biases)
        back = mx.dequantize(*parts, group_size=64, bits=bits or given.bits)
        found[f"weight/{name}"] = np.asarray(back)
    return found


def sgd(
    w: Any, g: Any, lr: float, momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False
) -> Any:
    """`mlx.optimizers.SGD`."""
    import mlx.core as mx
    from mlx import optimizers

    optimizer = optimizers.SGD(lr, momentum, weight_decay, nesterov=nesterov)
    kind, after = getattr(mx, str(w.dtype)), []
    weights = {"w": mx.array(w, kind)}
    with mx.stream(mx.cpu):
        for gradient in g:
            weights = optimizer.apply_gradients({"w": mx.array(gradient, kind)}, weights)
            after.append(np.array(weights["w"]))
    return np.array(after)


QUANTIZERS = {
    "mlx affine": (affine, (2, 3, 4)),
    "mlx mxfp4": (mxfp4, (4,)),
}

MEETINGS = {
    "mlx.nn.quantize, own bits": (network, {}, shared.PERCEPTRON),
    "mlx.nn.quantize, 8 bits": (network, {"bits": 8}, shared.PERCEPTRON),
}

OPTIMIZERS: dict[str, Any] = {"mlx SGD": (sgd, {}, "step")}
