"""JAX's quantizers, qwix and AQT, Optax, and Keras."""

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


def optax_sgd(
    w: Any,
    g: Any,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    jit: bool = False,
) -> Any:
    """`optax.sgd` after `add_decayed_weights`, eager or under `jax.jit`."""
    import optax

    plain = optax.sgd(lr, momentum or None, nesterov)
    return _optax(
        optax.chain(optax.add_decayed_weights(weight_decay), plain) if weight_decay else plain, w, g, jit
    )


def optax_named(w: Any, g: Any, lr: float, name: str, **options: Any) -> Any:
    """An optimizer of Optax, or a transform of it before the rate."""
    import optax

    make = getattr(optax, name)
    if not name.startswith("scale_by"):
        return _optax(make(lr, **options), w, g)
    return _optax(optax.chain(make(**options), optax.scale_by_learning_rate(lr)), w, g)


def _optax(transform: Any, w: Any, g: Any, jit: bool = False) -> Any:
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)
    weights, after = jax.numpy.asarray(w), []
    state = transform.init(weights)

    def step(weights: Any, state: Any, gradient: Any) -> Any:
        updates, state = transform.update(gradient, state, weights)
        return optax.apply_updates(weights, updates), state

    for gradient in g:
        weights, state = (jax.jit(step) if jit else step)(weights, state, jax.numpy.asarray(gradient))
        after.append(np.asarray(weights))
    return np.array(after)


def keras_sgd(
    w: Any, g: Any, lr: float, momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False
) -> Any:
    """`keras.optimizers.SGD`."""
    import jax
    import keras

    jax.config.update("jax_enable_x64", True)
    weights, after = keras.Variable(w, dtype=str(w.dtype)), []
    optimizer = keras.optimizers.SGD(lr, momentum, nesterov, weight_decay=weight_decay or None)
    for gradient in g:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weights])
        after.append(np.array(weights))
    return np.array(after)


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

OPTIMIZERS = {
    "Optax sgd": (optax_sgd, {}, "step"),
    "Optax sgd, jit": (optax_sgd, {"jit": True}, "step"),
    "Optax scale_by_param_block_norm": (optax_named, {"name": "scale_by_param_block_norm"}, "step"),
    "Optax scale_by_param_block_rms": (optax_named, {"name": "scale_by_param_block_rms"}, "step"),
    "Optax fromage": (optax_named, {"name": "fromage"}, "step"),
    "Optax lars": (optax_named, {"name": "lars"}, "step"),
    "Optax lamb": (optax_named, {"name": "lamb"}, "step"),
    "Keras SGD": (keras_sgd, {}, "step"),
}
