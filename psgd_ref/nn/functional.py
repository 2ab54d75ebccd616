"""Functions of neural networks: images NHWC, weights HWIO, any float dtype.

Each `*_backward` is the vector-Jacobian product of its forward function: given dy = ∂L/∂y it returns the
gradients of the forward function's arguments. Arrays of other shapes or dtypes, and sizes that do not fit,
raise ValueError that says what was given and what is accepted; the dtype of results is that of the arguments.

NaN and infinity pass as in the formulas, with two rules. Padding is absent, not zero: a product with it is
not formed, so that a NaN spoils exactly the results whose window meets it inside the image. And NaN is larger
than any number, so that it wins every maximum.
"""

from typing import Any

from psgd_ref import kernels
from psgd_ref.core.arguments import Array, real_number, whole_number
from psgd_ref.kernels.shapes import Pair, floats, label_array, pair, rows, shaped, some_rows

Window = tuple[Pair, Pair, Pair]


def conv2d(
    x: Array, weight: Array, bias: Array | None = None, stride: Any = 1, padding: Any = 0, groups: int = 1
) -> Array:
    """Cross-correlation: y[n,h,w,o] = b[o] + Σ x[n, h·s+i−p, w·s+j−p, c] weight[i,j,c,o].

    The sum is over i, j, c, pixels outside x left out. With G groups output o sees only the C/G channels of
    its group, and c counts those.

    Parameters
    ----------
    x
        (N, H, W, C) floats.
    weight
        (KH, KW, C/G, O) floats.
    bias
        (O,) floats, or None.
    stride, padding
        Whole numbers ≥ 1 and ≥ 0, or (height, width) pairs of them.
    groups
        G, which divides C and O; G = C is a depthwise convolution.

    Returns
    -------
    (N, OH, OW, O) floats, OH = ⌊(H + 2p − KH)/s⌋ + 1

    Examples
    --------
    >>> import numpy as np
    >>> from psgd_ref.nn import functional as F
    >>> x = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
    >>> F.conv2d(x, np.ones((2, 2, 1, 1), np.float32))[0, :, :, 0]
    array([[ 8., 12.],
           [20., 24.]], dtype=float32)
    """
    step, border = pair("stride", stride, 1), pair("padding", padding, 0)
    if whole_number("groups", groups, 1) > 1:
        return kernels.grouped_conv2d(x, weight, bias, step, border, groups)
    return kernels.conv2d(x, weight, bias, step, border)


def conv2d_backward(
    dy: Array, x: Array, weight: Array, stride: Any = 1, padding: Any = 0, groups: int = 1
) -> tuple[Array, Array, Array]:
    """Gradients of `conv2d`.

    Parameters
    ----------
    dy
        (N, OH, OW, O).
    x, weight, stride, padding, groups
        As in `conv2d`.

    Returns
    -------
    (dx, dweight, dbias)
    """
    step, border = pair("stride", stride, 1), pair("padding", padding, 0)
    if whole_number("groups", groups, 1) > 1:
        dx, dweight = kernels.grouped_conv2d_backward(dy, x, weight, step, border, groups)
    else:
        dx, dweight = kernels.conv2d_backward(dy, x, weight, step, border)
    assert dx is not None
    return dx, dweight, kernels.channel_sum(dy)


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """y = x · weight + bias.

    Parameters
    ----------
    x
        (N, I).
    weight
        (I, O).
    bias
        (O,), or None.

    Returns
    -------
    (N, O)
    """
    return kernels.linear(x, weight, bias)


def linear_backward(dy: Array, x: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Gradients of `linear`.

    Parameters
    ----------
    dy
        (N, O).
    x, weight
        As in `linear`.

    Returns
    -------
    (dx, dweight, dbias)
    """
    dx, dweight = kernels.linear_backward(dy, x, weight)
    assert dx is not None
    return dx, dweight, kernels.channel_sum(dy)


def batch_norm(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float = 1e-5) -> Array:
    """γ (x − mean)/√(var + eps) + β over the last axis.

    Parameters
    ----------
    x
        (…, C).
    gamma, beta, mean, var
        (C,).
    eps
        ≥ 0.

    Returns
    -------
    Shape of x.

    Raises
    ------
    ValueError
        Where var + eps is not positive.
    """
    eps = real_number("eps", eps)
    shaped("var", var, (rows("x", x),))
    if (var + eps <= 0).any():
        raise ValueError(f"var + eps must be positive; var is as small as {var.min()}, eps {eps}")
    return kernels.batch_norm_eval(x, gamma, beta, mean, var, eps, None, False)


def batch_norm_backward(dy: Array, x: Array, gamma: Array, eps: float = 1e-5) -> tuple[Array, Array, Array]:
    """Gradients of batch norm whose mean and (biased) variance are those of x itself.

    Parameters
    ----------
    dy, x
        (…, C) with at least one row.
    gamma
        (C,).
    eps
        ≥ 0.

    Returns
    -------
    (dx, dγ, dβ)

    Raises
    ------
    ValueError
        Where the variance + eps is 0.
    """
    eps = real_number("eps", eps)
    rows("x", x)
    some_rows(x)
    axes = tuple(range(x.ndim - 1))
    mean, var = x.mean(axes), x.var(axes)
    if (var + eps <= 0).any():
        raise ValueError("eps must be > 0 where x does not vary: there the variance is 0")
    return kernels.batch_norm_backward(dy, x, None, gamma, mean, var, eps, False)[:3]


def relu(x: Array) -> Array:
    """max(x, 0), elementwise; any shape."""
    return kernels.relu(x)


def max_pool2d(x: Array, size: Any, stride: Any = None, padding: Any = 0) -> Array:
    """Largest value of each window of x (N, H, W, C).

    Parameters
    ----------
    size, stride
        Whole numbers ≥ 1, or (height, width) pairs; stride defaults to size.
    padding
        Whole number or pair, less than size; padding is never the maximum.

    Returns
    -------
    (N, OH, OW, C), OH = ⌊(H + 2p − size)/s⌋ + 1
    """
    return kernels.max_pool2d(x, *_window(size, stride, padding))[0]


def max_pool2d_backward(dy: Array, x: Array, size: Any, stride: Any = None, padding: Any = 0) -> Array:
    """Gradient dx of `max_pool2d`: each window's dy goes to its (first) largest element."""
    window = _window(size, stride, padding)
    _, winner = kernels.max_pool2d(x, *window)
    return kernels.max_pool2d_backward(dy, winner, x.shape, *window)


def avg_pool2d(x: Array, size: Any, stride: Any = None, padding: Any = 0) -> Array:
    """Mean of each window, padding counted as zeros; arguments as in `max_pool2d`."""
    return kernels.avg_pool2d(x, *_window(size, stride, padding))


def avg_pool2d_backward(dy: Array, x: Array, size: Any, stride: Any = None, padding: Any = 0) -> Array:
    """Gradient dx of `avg_pool2d`."""
    return kernels.avg_pool2d_backward(dy, floats("x", x, "NHWC").shape, *_window(size, stride, padding))


def global_avg_pool(x: Array) -> Array:
    """Mean over height and width: (N, H, W, C) → (N, C)."""
    return kernels.global_avg_pool(x)


def cross_entropy(logits: Array, labels: Any, label_smoothing: float = 0.0) -> tuple[float, Array]:
    """Mean cross-entropy −Σ q log softmax(z) and its gradient (softmax(z) − q)/N.

    Parameters
    ----------
    logits
        (N, K) floats, N ≥ 1.
    labels
        (N,) whole numbers in 0 … K − 1.
    label_smoothing
        ε in [0, 1); q puts 1 − ε on the label and spreads ε evenly over all K classes.

    Returns
    -------
    The loss, and dlogits (N, K). Logits that are not finite make both NaN.
    """
    count, classes = floats("logits", logits, "NK").shape
    if not 0 <= real_number("label_smoothing", label_smoothing) < 1:
        raise ValueError(f"label_smoothing must lie in [0, 1); got {label_smoothing!r}")
    return kernels.cross_entropy(logits, label_array(labels, count, classes), float(label_smoothing))


def _window(size: Any, stride: Any, padding: Any) -> Window:
    window = pair("size", size, 1)
    return window, pair("stride", window if stride is None else stride, 1), pair("padding", padding, 0)
