"""JAX's side of the benchmark: the same networks, each step one compiled function."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from psgd_ref.experiments.benchmark.worker import Step, serve

Layer = Callable[[Any], Any]


class _Builder:
    """Layers as they are first applied: parameters are made in that order, then read in it."""

    def __init__(self, parameters: list[Any] | None, training: bool) -> None:
        self.given, self.training, self.made = parameters, training, list[Any]()
        self.rng = np.random.default_rng(0)

    def parameter(self, shape: tuple[int, ...]) -> Any:
        if self.given is None:
            self.made.append(jnp.asarray(self.rng.normal(0, 0.1, shape), jnp.float32))
        else:
            self.made.append(self.given[len(self.made)])
        return self.made[-1]

    def conv_norm(self, x: Any, outputs: int, size: int, stride: int = 1) -> Any:
        w = self.parameter((size, size, x.shape[-1], outputs))
        pad = [(size // 2, size // 2)] * 2
        x = lax.conv_general_dilated(x, w, (stride, stride), pad, dimension_numbers=("NHWC", "HWIO", "NHWC"))
        gamma, beta = self.parameter((outputs,)), self.parameter((outputs,))
        if self.training:
            mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        else:
            mean, var = self.parameter((outputs,)), jnp.square(self.parameter((outputs,)))
        return (x - mean) * (gamma * lax.rsqrt(var + 1e-5)) + beta

    def dense(self, x: Any, outputs: int) -> Any:
        return x @ self.parameter((x.shape[-1], outputs)) + self.parameter((outputs,))

    def resnet(self, x: Any, depth: int, width: int) -> Any:
        x = jax.nn.relu(self.conv_norm(x, width, 3))
        for stage, outputs in enumerate((width, 2 * width, 4 * width)):
            for block in range((depth - 2) // 6):
                stride = 2 if stage and not block else 1
                y = jax.nn.relu(self.conv_norm(x, outputs, 3, stride))
                side = x if stride == 1 and x.shape[-1] == outputs else self.conv_norm(x, outputs, 1, stride)
                x = jax.nn.relu(self.conv_norm(y, outputs, 3) + side)
        return self.dense(x.mean((1, 2)), 10)

    def convnet(self, x: Any, widths: tuple[int, ...]) -> Any:
        for i, width in enumerate(widths):
            if i == len(widths) - 1:
                x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            x = jax.nn.relu(self.conv_norm(x, width, 3))
        return self.dense(x.mean((1, 2)), 10)

    def mlp(self, x: Any, widths: tuple[int, ...]) -> Any:
        for i, width in enumerate(widths[1:]):
            x = self.dense(x if i == 0 else jax.nn.relu(x), width)
        return x


def build(case: dict[str, Any]) -> tuple[Step, float]:
    """A call that does the work of the case once and waits for it.

    Returns
    -------
    step : callable
        Takes no arguments.
    amount : float
        0: `ours.py` counts the work.

    Raises
    ------
    ValueError
        For other work than "train" and "evaluate".
    """
    if case["work"] not in ("train", "evaluate"):
        raise ValueError(f"work must be 'train' or 'evaluate'; got {case['work']!r}")
    training = case["work"] == "train"
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(case["batch"], *case["image"])), jnp.float32)
    labels = jnp.asarray(rng.integers(0, 10, case["batch"]))

    def logits(parameters: list[Any] | None, images: Any) -> tuple[Any, list[Any]]:
        builder = _Builder(parameters, training)
        if case["model"] == "resnet":
            return builder.resnet(images, case["depth"], case["width"]), builder.made
        if case["model"] == "convnet":
            return builder.convnet(images, tuple(case["widths"])), builder.made
        return builder.mlp(images, tuple(case["widths"])), builder.made

    state = [logits(None, x)[1]]
    state.append([jnp.zeros_like(w) for w in state[0]])
    if not training:
        forward = jax.jit(lambda parameters, images: logits(parameters, images)[0])
        return lambda: forward(state[0], x).block_until_ready(), 0.0

    def loss(parameters: list[Any]) -> Any:
        log_p = jax.nn.log_softmax(logits(parameters, x)[0])
        return -jnp.take_along_axis(log_p, labels[:, None], 1).mean()

    @jax.jit
    def step(parameters: list[Any], velocities: list[Any]) -> tuple[list[Any], list[Any]]:
        gradients = jax.grad(loss)(parameters)
        zipped = zip(velocities, gradients, parameters, strict=True)
        velocities = [0.9 * v + g + 1e-4 * w for v, g, w in zipped]
        return [w - 0.1 * v for w, v in zip(parameters, velocities, strict=True)], velocities

    def train() -> object:
        state[:] = step(*state)
        return jax.block_until_ready(state)

    return train, 0.0


if __name__ == "__main__":
    serve(build)
