"""What the kernels accept: axes, shapes and dtypes of every array argument, checked before the call.

One check for each kernel, with the kernel's own arguments. The kernels themselves trust what they are given:
an array that is too short would be read and written beyond its end. Checks look at shapes only and cost a
microsecond; what follows from a few shapes is worked out once and kept.
"""

from typing import Any

import numpy as np
from numpy import ndarray

from psgd_ref.core.arguments import Array
from psgd_ref.kernels.parts import Parts
from psgd_ref.kernels.reference import After, Norm, NormGradient
from psgd_ref.kernels.shapes import (
    Pair,
    convolved,
    floats,
    grouped,
    label_array,
    pooled,
    product,
    rows,
    shaped,
    some_rows,
    written,
)
from psgd_ref.kernels.through import check_after, check_norm, check_norm_gradient


def conv2d(
    x: Array,
    w: Array,
    bias: Array | None,
    stride: Pair,
    padding: Pair,
    norm: Norm | None = None,
    after: After | None = None,
) -> None:
    floats("x", x, "NHWC")
    floats("weight", w, "HWIO")
    shape = convolved(x.shape, w.shape, stride, padding)
    if bias is not None:
        shaped("bias", bias, shape[3:])
    if norm is not None:
        check_norm(norm, x.shape[3:])
    if after is not None:
        check_after(after, shape)


def conv2d_backward(
    dy: Array, x: Array, w: Array, stride: Pair, padding: Pair, need_dx: bool = True,
    into: Array | None = None, norm: Norm | None = None, plus: Array | None = None,
    through: NormGradient | None = None,
) -> None:  # fmt: skip
    floats("x", x, "NHWC")
    floats("weight", w, "HWIO")
    shaped("dy", dy, convolved(x.shape, w.shape, stride, padding))
    if into is not None:
        written("into", into, w.shape)
    if norm is not None:
        check_norm(norm, x.shape[3:])
    if plus is not None:
        shaped("plus", plus, x.shape)
    if through is not None:
        check_norm_gradient(dy, through)


def grouped_conv2d(x: Array, w: Array, bias: Array | None, stride: Pair, padding: Pair, groups: int) -> None:
    floats("x", x, "NHWC")
    floats("weight", w, "HWIO")
    outputs = grouped(x.shape, w.shape, stride, padding, groups)[3]
    if bias is not None:
        shaped("bias", bias, (outputs,))


def grouped_conv2d_backward(
    dy: Array,
    x: Array,
    w: Array,
    stride: Pair,
    padding: Pair,
    groups: int,
    need_dx: bool = True,
    into: Array | None = None,
) -> None:
    floats("x", x, "NHWC")
    floats("weight", w, "HWIO")
    shaped("dy", dy, grouped(x.shape, w.shape, stride, padding, groups))
    if into is not None:
        written("into", into, w.shape)


def linear(x: Array, w: Array, bias: Array | None) -> None:
    floats("x", x, "NI")
    floats("weight", w, "IO")
    product(x, w)
    if bias is not None:
        shaped("bias", bias, (w.shape[1],))


def linear_backward(
    dy: Array,
    x: Array,
    w: Array,
    need_dx: bool = True,
    into: Array | None = None,
    bias_into: Array | None = None,
) -> None:
    floats("x", x, "NI")
    floats("weight", w, "IO")
    product(x, w)
    shaped("dy", dy, (x.shape[0], w.shape[1]))
    if into is not None:
        written("into", into, w.shape)
    if bias_into is not None:
        written("bias_into", bias_into, (w.shape[1],))


def channel_sum(dy: Array, into: Array | None = None) -> None:
    count = rows("dy", dy)
    if into is not None:
        written("into", into, (count,))


def batch_norm_train(
    x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array, momentum: float, eps: float,
    residual: Array | None, relu: bool,
) -> None:  # fmt: skip
    batch_norm_eval(x, gamma, beta, running_mean, running_var, eps, residual, relu)
    some_rows(x)
    written("running_mean", running_mean, gamma.shape)
    written("running_var", running_var, gamma.shape)


def batch_norm_statistics(x: Array, running_mean: Array, running_var: Array, momentum: float) -> None:
    vector = (rows("x", x),)
    some_rows(x)
    written("running_mean", running_mean, vector)
    written("running_var", running_var, vector)


def batch_norm_eval(
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    var: Array,
    eps: float,
    residual: Array | None,
    relu: bool,
) -> None:
    vector = (rows("x", x),)
    shaped("gamma", gamma, vector)
    shaped("beta", beta, vector)
    shaped("mean", mean, vector)
    shaped("var", var, vector)
    if residual is not None:
        shaped("residual", residual, x.shape)


def batch_norm_backward(
    dy: Array,
    x: Array,
    y: Array | None,
    gamma: Array,
    mean: Array,
    var: Array,
    eps: float,
    relu: bool,
    need_dz: bool = True,
    into: tuple[Array, Array] | None = None,
    beta: Array | None = None,
) -> None:
    vector = (rows("x", x),)
    some_rows(x)
    shaped("dy", dy, x.shape)
    shaped("gamma", gamma, vector)
    shaped("mean", mean, vector)
    shaped("var", var, vector)
    if y is not None:
        shaped("y", y, x.shape)
    if beta is not None:
        shaped("beta", beta, vector)
    if into is not None:
        written("gradient of gamma", into[0], vector)
        written("gradient of beta", into[1], vector)


batch_norm_gradient = batch_norm_backward


def relu(x: Array) -> None:
    floats("x", x)


def relu_backward(dy: Array, y: Array) -> None:
    shaped("dy", dy, floats("y", y).shape)


def max_pool2d(x: Array, size: Pair, stride: Pair, padding: Pair) -> None:
    pooled(floats("x", x, "NHWC").shape, size, stride, padding)


def max_pool2d_backward(
    dy: Array,
    winner: np.ndarray[Any, np.dtype[np.integer[Any]]],
    x_shape: tuple[int, ...],
    size: Pair,
    stride: Pair,
    padding: Pair,
) -> None:
    shape = pooled(tuple(x_shape), size, stride, padding)
    shaped("dy", dy, shape)
    if not isinstance(winner, ndarray) or winner.dtype.kind not in "iu" or winner.shape != shape:
        raise ValueError(f"winner must be the whole numbers of the forward pass, shape {shape}")


avg_pool2d = max_pool2d


def avg_pool2d_backward(dy: Array, x_shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair) -> None:
    shaped("dy", dy, pooled(tuple(x_shape), size, stride, padding))


def global_avg_pool(x: Array) -> None:
    floats("x", x, "NHWC")


def global_avg_pool_backward(dy: Array, x_shape: tuple[int, ...]) -> None:
    if len(x_shape) != 4 or 0 in x_shape[1:]:
        raise ValueError(f"images must have the axes NHWC and entries along H, W, C; got shape {x_shape}")
    shaped("dy", dy, (x_shape[0], x_shape[3]))


def cross_entropy(logits: Array, labels: Any, label_smoothing: float) -> None:
    count, classes = floats("logits", logits, "NK").shape
    if count == 0:
        raise ValueError("logits must have at least one row; got none")
    label_array(labels, count, classes)


def psgd_update(
    w: Array,
    g: Array,
    v: Array,
    parts: Parts,
    steps: Array,
    lr: float,
    momentum: float,
    weight_decay: float,
    grid_decay: float = 0.0,
) -> None:
    floats("w", w, "n")
    if parts.end > w.size:
        raise ValueError(f"w must have the {parts.end} numbers that its parts name; got {w.size}")
    written("w", w, w.shape)
    written("v", v, w.shape)
    shaped("g", g, w.shape)
    written("steps", steps, (parts.slots,))


def fake_quantize(x: Array, step: float, offset: float, low: int, high: int) -> None:
    floats("x", x)
    if not step > 0:
        raise ValueError(f"step must be a number > 0; got {step!r}")


def fake_quantize_backward(
    dy: Array, x: Array, step: float, offset: float, low: int, high: int, pull: float = 0.0
) -> None:
    fake_quantize(x, step, offset, low, high)
    shaped("dy", dy, x.shape)


def soft_round_backward(dy: Array, x: Array, lower: float, upper: float, cells: int, alpha: float) -> None:
    shaped("dy", dy, floats("x", x).shape)
    _range(lower, upper)


def nested_round(x: Array, lower: float, upper: float, gates: Array) -> None:
    floats("x", x)
    floats("gates", gates, "g")
    _range(lower, upper)


def nested_round_backward(dy: Array, x: Array, lower: float, upper: float, gates: Array) -> None:
    nested_round(x, lower, upper, gates)
    shaped("dy", dy, x.shape)


def _range(lower: float, upper: float) -> None:
    if not lower < upper:
        raise ValueError(f"a range needs lower < upper; got {lower!r} and {upper!r}")
