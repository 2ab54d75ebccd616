"""A model as a table: every layer with its output's shape, its number of parameters and its bits."""

from collections.abc import Iterator, Mapping

from psgd_ref.nn.containers import Residual, Sequential
from psgd_ref.nn.layer import Layer, Shape
from psgd_ref.nn.parameters import dotted
from psgd_ref.nn.weighted import Weighted

Row = tuple[str, str, str, str, str]
_HEADINGS = ("layer", "kind", "output", "parameters", "bits")


def summary(net: Layer, shape: Shape | None, bits: Mapping[str, int]) -> str:
    """The table, one line for each layer that is not made of others, in forward order.

    Parameters
    ----------
    net
        The network.
    shape
        Of one input, without the axis of images; None when it is not known.
    bits
        Bit-widths of quantized parameters, by name.
    """
    rows = list(_rows(net, "", shape, bits))
    # Nothing is quantized: no such column.
    width = len(_HEADINGS) if any(row[-1] for row in rows) else len(_HEADINGS) - 1
    table = [_HEADINGS[:width], *(row[:width] for row in rows)]
    sizes = [max(len(row[column]) for row in table) for column in range(width)]
    lines = ("  ".join(cell.ljust(size) for cell, size in zip(row, sizes, strict=True)) for row in table)
    return "\n".join(line.rstrip() for line in lines)


def _rows(layer: Layer, prefix: str, shape: Shape | None, bits: Mapping[str, int]) -> Iterator[Row]:
    if isinstance(layer, Sequential):
        for name, child in layer.layers.items():
            yield from _rows(child, dotted(prefix, name), shape, bits)
            shape = child.output_shape(shape)
    elif isinstance(layer, Residual):
        yield from _rows(layer.body, prefix, shape, bits)
        if layer.shortcut is not None:
            yield from _rows(layer.shortcut, dotted(prefix, layer.shortcut_name), shape, bits)
        inner = layer.body.output_shape(shape)
        yield from _rows(layer.norm, dotted(prefix, layer.norm_name), inner, bits)
    else:
        parameters = {**layer.parameters()}
        for name, child in layer.children().items():
            parameters |= {f"{name}.{key}": value for key, value in child.parameters().items()}
        count = sum(_size(parameter.shape) for parameter in parameters.values())
        out = _written(layer.output_shape(shape))
        yield prefix, repr(layer), out, f"{count:,}" if count else "", _bits(layer, prefix, bits)


def _bits(layer: Layer, name: str, bits: Mapping[str, int]) -> str:
    """Bits such as W4A8: of the weight, if it is quantized or has a quantizer before it, and of the input."""
    if not isinstance(layer, Weighted):
        return ""
    weight = bits.get(dotted(name, "weight"), getattr(layer.weight_quantizer, "bits", None))
    activation = getattr(layer.input_quantizer, "bits", None)
    return (f"W{weight}" if weight else "") + (f"A{activation}" if activation else "")


def _size(shape: tuple[int, ...]) -> int:
    count = 1
    for length in shape:
        count *= length
    return count


def _written(shape: Shape | None) -> str:
    if shape is None:
        return "?"
    return "×".join("?" if length is None else str(length) for length in shape)
