"""Batch normalisation, with the residual sum and the ReLU that often follow it."""

from typing import Any

import numpy as np

from psgd_ref import kernels
from psgd_ref.core.arguments import Array, flag, whole_number
from psgd_ref.kernels.shapes import floats
from psgd_ref.nn.layer import Cache, Layer
from psgd_ref.nn.linearised import Linearised, Views
from psgd_ref.nn.parameters import Parameter, ones, zeros
from psgd_ref.nn.remade import Remade, RemadeGradient

# From this many numbers on, recomputing an output is worth the memory that it saves.
_LARGE = 1 << 18


class BatchNorm(Layer):
    """y = γ (x − m)/√(v + eps) + β [+ residual], then max(y, 0) with `relu`.

    In training m and v are the batch's mean and biased variance, and the running statistics move by
    `momentum` towards m and the unbiased variance, as PyTorch's do. In evaluation m and v are the running
    ones.

    Parameters
    ----------
    features
        The length of the last axis of x, (…, features).
    relu
        Whether max(y, 0) follows.

    Source
    ------
    Ioffe and Szegedy 2015.
    """

    eps = 1e-5
    momentum = 0.1

    def __init__(self, features: int, relu: bool = False) -> None:
        whole_number("features", features, 1)
        self.relu = flag("relu", relu)
        self.weight = Parameter((features,), "norm", ones)
        self.bias = Parameter((features,), "norm", zeros)
        self.running_mean = np.zeros(features, np.float32)
        self.running_var = np.ones(features, np.float32)

    def __repr__(self) -> str:
        return f"BatchNorm({self.weight.shape[0]}{', relu=True' if self.relu else ''})"

    def parameters(self) -> dict[str, Parameter]:
        return {"weight": self.weight, "bias": self.bias}

    def buffers(self) -> dict[str, Array]:
        return {"running_mean": self.running_mean, "running_var": self.running_var}

    def linearised(self, training: bool) -> Linearised:
        return LinearisedBatchNorm(self, training)

    def forward(self, x: Array, training: bool, residual: Array | None = None) -> tuple[Array, Cache]:
        gamma, beta = self.weight.value, self.bias.value
        if not training:
            floats("x", x)
            mean, var = self._running(x)
            return kernels.batch_norm_eval(x, gamma, beta, mean, var, self.eps, residual, self.relu), None
        running = self.running_mean, self.running_var, self.momentum
        y, mean, var = kernels.batch_norm_train(x, gamma, beta, *running, self.eps, residual, self.relu)
        kept = y if y.size < _LARGE else None
        return y, Remade(x, gamma, beta, mean, var, self.eps, residual, self.relu, kept)

    def forward_into(self, reader: Layer, x: Array, training: bool) -> tuple[Array | Remade, Cache]:
        """As `forward`; the output is left to the next layer to compute, if that reads it so.

        Parameters
        ----------
        reader
            The next layer.
        x, training
            As in `forward`.
        """
        if not (self.relu and reader.reads(x)):
            return self.forward(x, training)
        if training:
            running = self.running_mean, self.running_var, self.momentum
            mean, var = kernels.batch_norm_statistics(x, *running)
        else:
            mean, var = self._running(x)
        remade = Remade(x, self.weight.value, self.bias.value, mean, var, self.eps, None, self.relu)
        return remade, remade if training else None

    def after(self, residual: Array) -> kernels.After:
        """What a convolution's output passes through in evaluation, the residual sum included."""
        mean, var = self._running(floats("x", residual))
        norm = kernels.Norm(self.weight.value, self.bias.value, mean, var, self.eps)
        return kernels.After(norm, residual, self.relu)

    def _running(self, x: Array) -> tuple[Array, Array]:
        """The running mean and variance in the dtype of x."""
        return self.running_mean.astype(x.dtype), self.running_var.astype(x.dtype)

    def kept_output(self, cache: Cache) -> Remade | None:
        remade: Remade = cache
        return remade

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        return kernels.batch_norm_backward(*self._gradients(dy, cache, False))[0]

    def backward_into(self, reader: Layer, reader_cache: Cache, dy: Array, cache: Cache) -> Any:
        """As `backward`; the gradient is left to the layer before to compute, if that reads it so.

        Parameters
        ----------
        reader, reader_cache
            The layer before, and what it kept.
        dy, cache
            As in `backward`.
        """
        if not reader.reads_gradient(reader_cache):
            return self.backward(dy, cache)
        return RemadeGradient(*kernels.batch_norm_gradient(*self._gradients(dy, cache, False))[:2])

    def backward_sum(
        self, dy: Array, cache: Cache, reader: Layer | None = None, reader_cache: Cache = None
    ) -> tuple[Any, Array]:
        """∂L/∂x, left to `reader` to compute as in `backward_into`, and ∂L/∂residual."""
        arguments = self._gradients(dy, cache, True)
        if reader is not None and reader.reads_gradient(reader_cache):
            given, through, *_ = kernels.batch_norm_gradient(*arguments)
            return RemadeGradient(given, through), given
        dx, _, _, dz = kernels.batch_norm_backward(*arguments)
        assert dz is not None
        return dx, dz

    def _gradients(self, dy: Array, cache: Cache, need_dz: bool) -> tuple[Any, ...]:
        """The arguments of the kernels of the backward pass."""
        # Without a residual the sign of the output follows from x, which is read anyway.
        alone = cache.residual is None
        y = cache.array() if self.relu and not alone else None
        beta = cache.beta if self.relu and alone else None
        return (
            dy, cache.x, y, self.weight.value, cache.mean, cache.var, self.eps, self.relu, need_dz,
            (self.weight.grad, self.bias.grad), beta,
        )  # fmt: skip


class LinearisedBatchNorm(Linearised):
    """z = γ x̂ + β [+ residual], x̂ = r (x − m), r = (v + eps)^(−½), then y = max(z, 0) with `relu`.

    With the batch's statistics, where ⟨·⟩ is the mean over all axes but the last and a = ⟨x̂ x′⟩:

    x̂′ = r (x′ − ⟨x′⟩ − a x̂),   r′ = −r² a,   ∂L/∂x = γ r c,   c = dz − ⟨dz⟩ − x̂ ⟨dz x̂⟩

    With the running ones m and r are constants: x̂′ = r x′, r′ = 0, c = dz.
    """

    def __init__(self, layer: BatchNorm, training: bool) -> None:
        self.layer, self.training = layer, training

    def forward(self, x: Array, residual: Array | None = None) -> Array:
        layer, self.count = self.layer, x.size // x.shape[-1]
        if self.training:
            # In two passes, as the kernels do: the mean of squares less the squared mean loses digits.
            centred: Array = x - self._mean(x)
            var = self._mean(centred * centred)
        else:
            centred = x - layer.running_mean.astype(x.dtype)
            var = np.asarray(layer.running_var, x.dtype)
        self.r = 1 / np.sqrt(var + x.dtype.type(layer.eps))
        self.x_hat = centred * self.r
        z = layer.weight.value * self.x_hat + layer.bias.value
        if residual is not None:
            z = z + residual
        self.passed = z > 0 if layer.relu else None
        return np.asarray(z if self.passed is None else z * self.passed)

    def backward(self, dy: Array, gradient: Views) -> Array:
        return self.backward_sum(dy, gradient)[0]

    def backward_sum(self, dy: Array, gradient: Views) -> tuple[Array, Array]:
        """∂L/∂x and ∂L/∂residual."""
        layer, self.dz = self.layer, self._cut(dy)
        gradient[layer.weight][...] = kernels.channel_sum(self.dz * self.x_hat)
        gradient[layer.bias][...] = kernels.channel_sum(self.dz)
        self.slope = gradient[layer.weight] / self.count
        self.c = self.dz
        if self.training:
            self.c = self.dz - gradient[layer.bias] / self.count - self.x_hat * self.slope
        return layer.weight.value * self.r * self.c, self.dz

    def forward_change(self, dx: Array, change: Views, residual: Array | None = None) -> Array:
        layer = self.layer
        if self.training:
            a = self._mean(self.x_hat * dx)
            self.dx_hat = self.r * (dx - self._mean(dx) - a * self.x_hat)
            self.dr = -self.r * self.r * a
        else:
            self.dx_hat, self.dr = self.r * dx, np.zeros_like(self.r)
        dz = change[layer.weight] * self.x_hat + layer.weight.value * self.dx_hat + change[layer.bias]
        return self._cut(dz if residual is None else dz + residual)

    def backward_change(self, ddy: Array, change: Views, out: Views) -> Array:
        return self.backward_sum_change(ddy, change, out)[0]

    def backward_sum_change(self, ddy: Array, change: Views, out: Views) -> tuple[Array, Array]:
        """The changes of ∂L/∂x and ∂L/∂residual."""
        layer, ddz = self.layer, self._cut(ddy)
        out[layer.weight][...] = kernels.channel_sum(ddz * self.x_hat + self.dz * self.dx_hat)
        out[layer.bias][...] = kernels.channel_sum(ddz)
        dc = ddz
        if self.training:
            dc = ddz - out[layer.bias] / self.count
            dc = dc - self.dx_hat * self.slope - self.x_hat * (out[layer.weight] / self.count)
        gamma = layer.weight.value
        factor = change[layer.weight] * self.r + gamma * self.dr
        return np.asarray(factor * self.c + gamma * self.r * dc), ddz

    def _mean(self, x: Array) -> Array:
        return np.asarray(kernels.channel_sum(x) / x.dtype.type(self.count))

    def _cut(self, x: Array) -> Array:
        return x if self.passed is None else np.asarray(x * self.passed)
