"""A network as one C header: packed integers, scales, and plain loops that run it, for a microcontroller."""

import os
from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array
from psgd_ref.interop.deployment.emulation import tensors
from psgd_ref.interop.deployment.network import FIRST, LAST, Integers, Operation
from psgd_ref.interop.deployment.packing import container_bits, pack
from psgd_ref.interop.deployment.plain import operations
from psgd_ref.interop.deployment.prepare import channels_first
from psgd_ref.interop.whole_file import write_text
from psgd_ref.nn import Model

ACROSS = 16
LOOPS = r"""#include <math.h>
#include <stdint.h>

/* The code at position i of bytes that hold 8 / bits codes each, the first in the low bits. */
static inline int psgd_code(const uint8_t *codes, int bits, int i) {
  int each = 8 / bits, field = (codes[i / each] >> (bits * (i % each))) & ((1 << bits) - 1);
  return field >= 1 << (bits - 1) ? field - (1 << bits) : field;
}

static inline float psgd_weight(const uint8_t *codes, int bits, const float *floats, int i) {
  return codes ? (float)psgd_code(codes, bits, i) : floats[i];
}

/* y[o][h][w] = bias[o] + scale[o] * sum of code * x; images are [channels][height][width], and every output
   sees `inputs` of them, those of its group. */
static void psgd_conv(const float *x, float *y, const uint8_t *codes, int bits, const float *floats,
                      const float *scale, int scales, const float *bias, int inputs, int height, int width,
                      int outputs, int groups, int kh, int kw, int sh, int sw, int ph, int pw, int oh,
                      int ow) {
  for (int o = 0; o < outputs; o++)
    for (int i = 0; i < oh; i++)
      for (int j = 0; j < ow; j++) {
        int first = o / (outputs / groups) * inputs;
        float sum = 0;
        for (int c = 0; c < inputs; c++)
          for (int a = 0; a < kh; a++)
            for (int b = 0; b < kw; b++) {
              int r = i * sh + a - ph, s = j * sw + b - pw;
              if (r < 0 || r >= height || s < 0 || s >= width) continue;
              sum += psgd_weight(codes, bits, floats, ((o * inputs + c) * kh + a) * kw + b) *
                     x[((first + c) * height + r) * width + s];
            }
        y[(o * oh + i) * ow + j] = bias[o] + scale[scales > 1 ? o : 0] * sum;
      }
}

static void psgd_pool(const float *x, float *y, int mean, int channels, int height, int width, int kh, int kw,
                      int sh, int sw, int ph, int pw, int oh, int ow) {
  for (int c = 0; c < channels; c++)
    for (int i = 0; i < oh; i++)
      for (int j = 0; j < ow; j++) {
        float sum = 0, top = -INFINITY;
        for (int a = 0; a < kh; a++)
          for (int b = 0; b < kw; b++) {
            int r = i * sh + a - ph, s = j * sw + b - pw;
            if (r < 0 || r >= height || s < 0 || s >= width) continue;
            float value = x[(c * height + r) * width + s];
            sum += value;
            if (value > top) top = value;
          }
        y[(c * oh + i) * ow + j] = mean ? sum / (kh * kw) : top;
      }
}

static void psgd_affine(const float *x, float *y, const float *factor, const float *shift, int channels,
                        int each) {
  for (int i = 0; i < channels * each; i++) y[i] = factor[i / each] * x[i] + shift[i / each];
}

static void psgd_leakyrelu(const float *x, float *y, float slope, int count) {
  for (int i = 0; i < count; i++) y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

static void psgd_clip(const float *x, float *y, float top, int count) {
  for (int i = 0; i < count; i++) y[i] = x[i] < 0 ? 0 : x[i] > top ? top : x[i];
}

static void psgd_relu(const float *x, float *y, int count) {
  for (int i = 0; i < count; i++) y[i] = x[i] > 0 ? x[i] : 0;
}

static void psgd_add(const float *x, const float *z, float *y, int count) {
  for (int i = 0; i < count; i++) y[i] = x[i] + z[i];
}

static void psgd_copy(const float *x, float *y, int count) {
  for (int i = 0; i < count; i++) y[i] = x[i];
}

/* Round to codes 0 ... levels, ties to even, and back. */
static void psgd_round(const float *x, float *y, float step, int levels, int count) {
  for (int i = 0; i < count; i++) {
    float code = rintf(x[i] / step);
    y[i] = (code < 0 ? 0 : code > levels ? levels : code) * step;
  }
}
"""


def export_c(model: Model, path: str | os.PathLike[str], images: Array) -> Path:
    """Write a network as a C99 header with its integers, scales and a function that runs one image.

    `psgd_run(const float *images, float *logits)` takes PSGD_INPUTS numbers, an image as [C][H][W],
    normalised as the training images were, and gives PSGD_OUTPUTS logits. Weights of 2, 4 and 8 bits stay
    packed; sums are float. No memory is asked for: tensors between the layers are static arrays.

    Parameters
    ----------
    model
        A `QuantizedModel`, or a model of floats.
    images
        At least one image as the model takes it, for the shapes.

    Raises
    ------
    ValueError
        For what has no plain form, by the layer's name; nothing is written then.
    """
    network = operations(model, images.shape[1:])
    shapes = {name: value.shape[1:] for name, value in tensors(network, channels_first(images[:1])).items()}
    write_text(Path(path), _header(network, shapes))
    return Path(path)


def _header(network: Sequence[Operation], shapes: dict[str, tuple[int, ...]]) -> str:
    names = {FIRST: "images", LAST: "logits"}
    data: list[str] = []
    calls: list[str] = []
    for number, o in enumerate(network):
        if o.output not in names:
            names[o.output] = f"psgd_t{number}"
            data.append(f"static float psgd_t{number}[{prod(shapes[o.output])}];")
        data += _constants(o, number)
        x = ", ".join(names[each] for each in o.inputs)
        calls.append(f"  {_call(o, number, x, names[o.output], shapes)}  /* {o.name} {o.kind} */")
    return "\n".join(
        [
            "/* Written by psgd_ref: a network whose weights are integers times a scale. C99. */",
            "#ifndef PSGD_REF_NETWORK_H",
            "#define PSGD_REF_NETWORK_H",
            LOOPS,
            f"#define PSGD_INPUTS {prod(shapes[FIRST])}",
            f"#define PSGD_OUTPUTS {prod(shapes[LAST])}",
            "",
            *data,
            "",
            "static void psgd_run(const float *images, float *logits) {",
            *calls,
            "}",
            "",
            "#endif",
            "",
        ]
    )


def _constants(o: Operation, number: int) -> list[str]:
    found = []
    if isinstance(o.weight, Integers):
        bits = container_bits(o.weight.bits)
        found.append(_array("uint8_t", f"psgd_codes{number}", pack(o.weight.codes, bits)))
        found.append(_array("float", f"psgd_scale{number}", o.weight.scale.ravel()))
    elif o.weight is not None:
        found.append(_array("float", f"psgd_floats{number}", o.weight.ravel()))
        found.append(_array("float", f"psgd_scale{number}", np.ones(1, np.float32)))
    if o.bias is not None:
        found.append(_array("float", f"psgd_bias{number}", o.bias))
    return found


def _call(o: Operation, number: int, x: str, y: str, shapes: dict[str, tuple[int, ...]]) -> str:
    given, out = shapes[o.inputs[0]], shapes[o.output]
    count = prod(out)
    match o.kind:
        case "Conv" | "Gemm":
            integers = isinstance(o.weight, Integers)
            codes = f"psgd_codes{number}" if integers else "0"
            floats = "0" if integers else f"psgd_floats{number}"
            bits = container_bits(o.weight.bits) if isinstance(o.weight, Integers) else 8
            scales = o.weight.scale.size if isinstance(o.weight, Integers) else 1
            image = (o.weight_shape[1], *(*given, 1, 1)[1:3])
            kernel = (*o.weight_shape, 1, 1)[2:4]
            sizes = (
                *image,
                out[0],
                o.groups,
                *kernel,
                *o.stride,
                *np.subtract(o.padding, o.surplus),
                *(*out, 1, 1)[1:3],
            )
            numbers = ", ".join(map(str, sizes))
            return (
                f"psgd_conv({x}, {y}, {codes}, {bits}, {floats}, psgd_scale{number}, {scales}, "
                f"psgd_bias{number}, {numbers});"
            )
        case "MaxPool" | "AveragePool":
            sizes = (int(o.kind == "AveragePool"), *given, *o.size, *o.stride, *o.padding, *out[1:])
            return f"psgd_pool({x}, {y}, {', '.join(map(str, sizes))});"
        case "GlobalAveragePool":
            sizes = (1, *given, *given[1:], 1, 1, 0, 0, 1, 1)
            return f"psgd_pool({x}, {y}, {', '.join(map(str, sizes))});"
        case "Affine":
            return (
                f"psgd_affine({x}, {y}, psgd_floats{number}, psgd_bias{number}, {out[0]}, {prod(out[1:])});"
            )
        case "Quantize":
            return f"psgd_round({x}, {y}, {_number(np.float32(o.step))}, {o.levels}, {count});"
        case "Flatten":
            return f"psgd_copy({x}, {y}, {count});"
        case "LeakyRelu":
            return f"psgd_leakyrelu({x}, {y}, {_number(np.float32(o.slope))}, {count});"
        case "Clip":
            return f"psgd_clip({x}, {y}, {_number(np.float32(o.top))}, {count});"
        case "Relu" | "Add":
            return f"psgd_{o.kind.lower()}({x}, {y}, {count});"
    raise ValueError(f"{o.kind} has no C form")


def _array(kind: str, name: str, values: npt.NDArray[np.generic]) -> str:
    texts = [_number(v) if kind == "float" else str(int(v)) for v in values]
    lines = [", ".join(texts[i : i + ACROSS]) for i in range(0, len(texts), ACROSS)]
    return f"static const {kind} {name}[{len(texts)}] = {{\n  " + ",\n  ".join(lines) + "};"


def _number(value: np.generic) -> str:
    """A float32 as a C constant that reads back to the same bits."""
    return f"{float(value).hex()}f"
