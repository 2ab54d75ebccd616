"""The ReLU by itself; float32. (Behind a batch norm it is part of that kernel.)"""

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import ZERO, flat
from psgd_ref.kernels.compile import body, loop_kernel
from psgd_ref.kernels.parallel import for_each

_CHUNK = 8192


def relu(x: Array) -> Array:
    """As `reference.relu`."""
    y: Array = memory.empty(x.shape)
    _relu(flat(x), y.reshape(-1))
    return y


def relu_backward(dy: Array, y: Array) -> Array:
    """As `reference.relu_backward`."""
    dx: Array = memory.empty(dy.shape)
    _relu_backward(flat(dy), flat(y), dx.reshape(-1))
    return dx


@loop_kernel
def _relu(x, y):
    for_each((x.size + _CHUNK - 1) // _CHUNK, x.size, _relu_chunk, (x, y))


@loop_kernel
def _relu_backward(dy, y, dx):
    for_each((dy.size + _CHUNK - 1) // _CHUNK, dy.size, _relu_chunk_backward, (dy, y, dx))


@body
def _relu_chunk(index, worker, x, y):
    a, out = x[index * _CHUNK : (index + 1) * _CHUNK], y[index * _CHUNK : (index + 1) * _CHUNK]
    for i in range(a.size):
        out[i] = ZERO if a[i] < ZERO else a[i]


@body
def _relu_chunk_backward(index, worker, dy, y, dx):
    start, stop = index * _CHUNK, (index + 1) * _CHUNK
    a, b, out = dy[start:stop], y[start:stop], dx[start:stop]
    for i in range(a.size):
        out[i] = ZERO if b[i] <= ZERO else a[i]
