"""JAX's quantizers, qwix and AQT, and Keras."""

from typing import Any

import numpy as np

from psgd_ref.experiments.peers.families import shared


def qwix_absmax(w: Any, bits: int) -> Any:
    """`qwix.quantize`, absmax calibration, one scale."""
    import jax.numpy as jnp
    from qwix._src.core import qarray

    how = qarray.HowToQuantize(qtype=f"int{bits}", calibration_method="absmax")
    found = qarray.dequantize(qarray.quantize(jnp.asarray(w, jnp.float32), how))
    return np.asarray(found, w.dtype)


def aqt_default(w: Any, bits: int) -> Any:
    """AQT's integers, its default: the largest level is half a step inside the range."""
    return _aqt(w, bits, False)


def aqt_preserving(w: Any, bits: int) -> Any:
    """AQT's integers with preserve_max_val."""
    return _aqt(w, bits, True)


def keras_abs_max(w: Any, bits: int) -> Any:
    """`keras.quantizers.abs_max_quantize` onto 2^b − 1 levels."""
    from keras import quantizers

    top = 2 ** (bits - 1) - 1
    codes, scale = quantizers.abs_max_quantize(
        w.astype(np.float32), axis=tuple(range(w.ndim)), value_range=(-top, top), to_numpy=True
    )
    return (np.asarray(codes, np.float32) / np.asarray(scale, np.float32)).astype(w.dtype)


def dense(folder: str, kind: str = "int8") -> dict[str, Any]:
    """`keras.Model.quantize` of dense layers."""
    import keras

    given = shared.read(folder)

    last = given.layers[-1]
    layers = [
        keras.layers.Dense(len(given.weight(name)), None if name == last else "relu", name=name)
        for name in given.layers
    ]
    small = keras.Sequential([keras.Input(given.images.shape[1:]), *layers])
    for layer, name in zip(layers, given.layers, strict=True):
        layer.set_weights([given.weight(name).T, given.bias(name)])
    small.quantize(kind)
    found: dict[str, Any] = {"logits": np.asarray(small(given.images))}
    for name in given.layers:
        layer = small.get_layer(name)
        layer.activation = keras.activations.linear
        seen = np.asarray(layer(given.probe(name))) - given.bias(name)
        if kind == "int4":
            found[f"weight/{name}"] = given.probed(name, seen)
        else:
            scale = np.asarray(layer.kernel_scale)
            found[f"weight/{name}"] = (np.asarray(layer._kernel, np.float32) / scale).T.copy()
    return found


def _aqt(w: Any, bits: int, preserve: bool) -> Any:
    import jax.numpy as jnp
    from aqt.jax.v2.aqt_quantizer import make_fake_quant, quantizer_make

    fake_quant = make_fake_quant(quantizer_make(bits, preserve), tuple(range(w.ndim)))
    return np.asarray(fake_quant(jnp.asarray(w, jnp.float32)), w.dtype)


QUANTIZERS = {
    "qwix absmax": (qwix_absmax, (2, 4, 8)),
    "AQT, default": (aqt_default, (2, 4, 8)),
    "AQT, preserve_max_val": (aqt_preserving, (2, 4, 8)),
    "Keras abs_max_quantize": (keras_abs_max, (2, 4, 8)),
}

MEETINGS = {
    "Keras quantize, int8": (dense, {}, shared.PERCEPTRON),
    "Keras quantize, int4": (dense, {"kind": "int4"}, shared.PERCEPTRON),
}
