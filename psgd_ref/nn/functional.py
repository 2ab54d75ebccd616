"""The networks' functions, checked: shapes NHWC, weights HWIO, any float dtype.

Each `*_backward` is the vector-Jacobian product of its forward function: given dy = ∂L/∂y it returns
the gradients of the forward function's arguments. Wrong shapes, dtypes or sizes raise ValueError.
"""

from typing import Any

from psgd_ref import kernels
from psgd_ref.core.arguments import Array, real_number
from psgd_ref.nn.shapes import channels, floats, label_array, pair, pool_padding, window_output


def conv2d(x: Array, weight: Array, bias: Array | None = None, stride: Any = 1, padding: Any = 0) -> Array:
    """Cross-correlation: y[n,h,w,o] = b[o] + Σ x[n, h·s+i−p, w·s+j−p, c] weight[i,j,c,o].

    x (N, H, W, C), weight (KH, KW, C, O), bias (O,) or None; stride ≥ 1 and zero padding ≥ 0 are
    whole numbers or (height, width) pairs. Returns (N, OH, OW, O), OH = ⌊(H + 2p − KH)/s⌋ + 1.
    """
    step, border = _check_conv(x, weight, stride, padding)
    if bias is not None:
        channels("bias", floats("bias", bias, "O"), weight.shape[3])
    return kernels.conv2d(x, weight, bias, step, border)


def conv2d_backward(
    dy: Array, x: Array, weight: Array, stride: Any = 1, padding: Any = 0
) -> tuple[Array, Array, Array]:
    """Gradients (dx, dweight, dbias) of `conv2d` for dy (N, OH, OW, O)."""
    step, border = _check_conv(x, weight, stride, padding)
    expected = (x.shape[0], *window_output(x, _window(weight), step, border), weight.shape[3])
    _check_gradient(dy, expected)
    dx, dweight = kernels.conv2d_backward(dy, x, weight, step, border)
    assert dx is not None
    return dx, dweight, kernels.channel_sum(dy)


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """y = x · weight + bias; x (N, I), weight (I, O), bias (O,) or None. Returns (N, O)."""
    channels("x", floats("x", x, "NI"), floats("weight", weight, "IO").shape[0])
    return kernels.linear(x, weight, bias)


def linear_backward(dy: Array, x: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Gradients (dx, dweight, dbias) of `linear` for dy (N, O)."""
    channels("x", floats("x", x, "NI"), floats("weight", weight, "IO").shape[0])
    _check_gradient(dy, (x.shape[0], weight.shape[1]))
    dx, dweight = kernels.linear_backward(dy, x, weight)
    assert dx is not None
    return dx, dweight, kernels.channel_sum(dy)


def batch_norm(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float = 1e-5) -> Array:
    """γ (x − mean)/√(var + eps) + β over the last axis; x (…, C), the others (C,). Returns x's shape."""
    for name, value in (("gamma", gamma), ("beta", beta), ("mean", mean), ("var", var)):
        channels(name, floats(name, value, "C"), x.shape[-1])
    return kernels.batch_norm_eval(x, gamma, beta, mean, var, real_number("eps", eps), None, False)


def batch_norm_backward(dy: Array, x: Array, gamma: Array, eps: float = 1e-5) -> tuple[Array, Array, Array]:
    """Gradients (dx, dγ, dβ) of batch norm whose mean and (biased) variance are those of x itself."""
    _check_gradient(dy, x.shape)
    axes = tuple(range(x.ndim - 1))
    mean, var = x.mean(axes), x.var(axes)
    return kernels.batch_norm_backward(dy, x, None, gamma, mean, var, eps, False)[:3]


def relu(x: Array) -> Array:
    """max(x, 0), elementwise."""
    return kernels.relu(x)


def max_pool2d(x: Array, size: Any, stride: Any = None, padding: Any = 0) -> Array:
    """Largest value of each window; stride defaults to size, padding ≤ size/2 never wins."""
    return kernels.max_pool2d(x, *_check_pool(x, size, stride, padding))[0]


def max_pool2d_backward(dy: Array, x: Array, size: Any, stride: Any = None, padding: Any = 0) -> Array:
    """Gradient dx of `max_pool2d`: each window's dy goes to its (first) largest element."""
    window = _check_pool(x, size, stride, padding)
    _check_gradient(dy, (x.shape[0], *window_output(x, *window), x.shape[3]))
    _, winner = kernels.max_pool2d(x, *window)
    return kernels.max_pool2d_backward(dy, winner, x.shape, *window)


def avg_pool2d(x: Array, size: Any, stride: Any = None, padding: Any = 0) -> Array:
    """Mean of each window; stride defaults to size; padding counts as zeros."""
    return kernels.avg_pool2d(x, *_check_pool(x, size, stride, padding))


def avg_pool2d_backward(dy: Array, x: Array, size: Any, stride: Any = None, padding: Any = 0) -> Array:
    """Gradient dx of `avg_pool2d`."""
    window = _check_pool(x, size, stride, padding)
    _check_gradient(dy, (x.shape[0], *window_output(x, *window), x.shape[3]))
    return kernels.avg_pool2d_backward(dy, x.shape, *window)


def global_avg_pool(x: Array) -> Array:
    """Mean over height and width: (N, H, W, C) → (N, C)."""
    return kernels.global_avg_pool(floats("x", x, "NHWC"))


def cross_entropy(logits: Array, labels: Any, label_smoothing: float = 0.0) -> tuple[float, Array]:
    """Mean cross-entropy −Σ q log softmax(z) and its gradient (softmax(z) − q)/N.

    logits (N, K), labels (N,) in 0 … K − 1; q puts 1 − ε on the label and spreads ε = label_smoothing
    (in [0, 1)) evenly over all K classes. Returns the loss and dlogits (N, K).
    """
    count, classes = floats("logits", logits, "NK").shape
    if count == 0:
        raise ValueError("logits must have at least one row; got none")
    labels = label_array(labels, count, classes)
    if not 0 <= real_number("label_smoothing", label_smoothing) < 1:
        raise ValueError(f"label_smoothing must lie in [0, 1); got {label_smoothing!r}")
    return kernels.cross_entropy(logits, labels, float(label_smoothing))


def _window(weight: Array) -> tuple[int, int]:
    return (weight.shape[0], weight.shape[1])


def _check_conv(
    x: Array, weight: Array, stride: Any, padding: Any
) -> tuple[tuple[int, int], tuple[int, int]]:
    step, border = pair("stride", stride, 1), pair("padding", padding, 0)
    channels("x", floats("x", x, "NHWC"), floats("weight", weight, "HWIO").shape[2])
    window_output(x, _window(weight), step, border)
    return step, border


def _check_pool(
    x: Array, size: Any, stride: Any, padding: Any
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    window = pair("size", size, 1)
    step, border = pair("stride", window if stride is None else stride, 1), pair("padding", padding, 0)
    pool_padding(window, border)
    window_output(floats("x", x, "NHWC"), window, step, border)
    return window, step, border


def _check_gradient(dy: Array, expected: tuple[int, ...]) -> None:
    if dy.shape != expected:
        raise ValueError(f"dy must have the shape of the output, {expected}; got {dy.shape}")
