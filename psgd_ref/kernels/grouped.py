"""Convolution in groups, depthwise among them: each output sees the inputs of its group alone. NHWC, float32.

Plain loops over the pixels that a window meets, the channels of a pixel innermost, where they lie next to
each other. One turn of a loop over threads is an image, or for the weights' gradient an element (i, j) of the
window: it sums an image by itself and adds the images up, always in the same order.
"""

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import NONE, ZERO, flat
from psgd_ref.kernels.borders import clear
from psgd_ref.kernels.compile import body, inner, loop_kernel
from psgd_ref.kernels.parallel import for_each
from psgd_ref.kernels.reference import Pair
from psgd_ref.kernels.shapes import grouped


def grouped_conv2d(x: Array, w: Array, bias: Array | None, stride: Pair, padding: Pair, groups: int) -> Array:
    """As `reference.grouped_conv2d`."""
    y: Array = memory.empty(grouped(x.shape, w.shape, stride, padding, groups))
    window = w.shape[:2], stride, padding
    first = NONE if bias is None else flat(bias)
    _forward(flat(x), flat(w), first, flat(y), x.shape, y.shape, window, groups)
    return y


def grouped_conv2d_backward(
    dy: Array,
    x: Array,
    w: Array,
    stride: Pair,
    padding: Pair,
    groups: int,
    need_dx: bool = True,
    into: Array | None = None,
) -> tuple[Array | None, Array]:
    """As `reference.grouped_conv2d_backward`."""
    dw: Array = memory.empty(w.shape) if into is None else into
    window = w.shape[:2], stride, padding
    _weights(flat(dy), flat(x), flat(dw), *memory.scratch(w.size), x.shape, dy.shape, window, groups)
    if not need_dx:
        return None, dw
    dx: Array = memory.empty(x.shape)
    _inputs(flat(dy), flat(w), flat(dx), x.shape, dy.shape, window, groups)
    return dx, dw


@loop_kernel
def _forward(x, w, bias, y, images, results, window, groups):
    work = y.size * w.size // results[3]
    for_each(images[0], work, _image, (x, w, bias, y, images, results, window, groups))


@loop_kernel
def _weights(dy, x, dw, room, images, results, window, groups):
    taps = window[0][0] * window[0][1]
    for_each(taps, dy.size * taps, _tap, (dy, x, dw, room, images, results, window, groups))


@loop_kernel
def _inputs(dy, w, dx, images, results, window, groups):
    work = dy.size * w.size // results[3]
    for_each(images[0], work, _image_backward, (dy, w, dx, images, results, window, groups))


@body
def _image(n, worker, x, w, bias, y, images, results, window, groups):
    _, height, width, inputs = images
    _, lines, columns, outputs = results
    size, stride, padding = window
    deep = inputs // groups
    for place in range(lines * columns):
        top, left = place // columns * stride[0] - padding[0], place % columns * stride[1] - padding[1]
        target = (n * lines * columns + place) * outputs
        sums = y[target : target + outputs]
        for o in range(outputs):
            sums[o] = bias[o] if bias.size else ZERO
        for i in range(max(0, -top), min(size[0], height - top)):
            for j in range(max(0, -left), min(size[1], width - left)):
                source = ((n * height + top + i) * width + left + j) * inputs
                first = (i * size[1] + j) * deep * outputs
                for c in range(deep):
                    line = w[first + c * outputs : first + (c + 1) * outputs]
                    _add_products(sums, x[source : source + inputs], line, c, deep, groups)


@body
def _tap(tap, worker, dy, x, dw, room, images, results, window, groups):
    count, height, width, inputs = images
    _, lines, columns, outputs = results
    size, stride, padding = window
    deep = inputs // groups
    share = deep * outputs
    total, of_image = dw[tap * share : (tap + 1) * share], room[tap * share : (tap + 1) * share]
    i, j = tap // size[1] - padding[0], tap % size[1] - padding[1]
    clear(total)
    for n in range(count):
        clear(of_image)
        for h in range(lines):
            for v in range(columns):
                row, column = h * stride[0] + i, v * stride[1] + j
                if 0 <= row < height and 0 <= column < width:
                    source = ((n * height + row) * width + column) * inputs
                    target = ((n * lines + h) * columns + v) * outputs
                    for c in range(deep):
                        sums = of_image[c * outputs : (c + 1) * outputs]
                        line = dy[target : target + outputs]
                        _add_products(sums, x[source : source + inputs], line, c, deep, groups)
        for k in range(share):
            total[k] += of_image[k]


@body
def _image_backward(n, worker, dy, w, dx, images, results, window, groups):
    _, height, width, inputs = images
    _, lines, columns, outputs = results
    size, stride, padding = window
    deep, image = inputs // groups, height * width * inputs
    clear(dx[n * image : (n + 1) * image])
    for place in range(lines * columns):
        top, left = place // columns * stride[0] - padding[0], place % columns * stride[1] - padding[1]
        source = (n * lines * columns + place) * outputs
        for i in range(max(0, -top), min(size[0], height - top)):
            for j in range(max(0, -left), min(size[1], width - left)):
                target = ((n * height + top + i) * width + left + j) * inputs
                first = (i * size[1] + j) * deep * outputs
                for c in range(deep):
                    line = w[first + c * outputs : first + (c + 1) * outputs]
                    pixel, gradient = dx[target : target + inputs], dy[source : source + outputs]
                    _add_sums(pixel, gradient, line, c, deep, groups)


@inner
def _add_products(sums, pixel, line, c, deep, groups):
    """sums[o] += pixel[c of the group of o] · line[o]."""
    wide = sums.size // groups
    if wide == 1 and deep == 1:
        for o in range(sums.size):
            sums[o] += pixel[o] * line[o]
    else:
        for g in range(groups):
            value, own, factors = pixel[g * deep + c], sums[g * wide : (g + 1) * wide], line[g * wide :]
            for o in range(wide):
                own[o] += value * factors[o]


@inner
def _add_sums(pixel, gradient, line, c, deep, groups):
    """pixel[c of group g] += Σ over the outputs o of the group of gradient[o] · line[o]."""
    wide = line.size // groups
    if wide == 1 and deep == 1:
        for o in range(line.size):
            pixel[o] += gradient[o] * line[o]
    else:
        for g in range(groups):
            total = ZERO
            for o in range(g * wide, (g + 1) * wide):
                total += gradient[o] * line[o]
            pixel[g * deep + c] += total
