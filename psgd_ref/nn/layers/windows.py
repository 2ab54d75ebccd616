"""What layers with a sliding window share when they describe themselves."""

from psgd_ref.kernels.shapes import Pair
from psgd_ref.nn.layer import Shape


def slid(shape: Shape | None, size: Pair, stride: Pair, padding: Pair) -> Shape:
    """Height and width of the output, None where the input's is not known."""
    lengths = (None, None) if shape is None or len(shape) != 3 else shape[:2]
    return tuple(
        None if length is None else (length + 2 * padding[k] - size[k]) // stride[k] + 1
        for k, length in enumerate(lengths)
    )


def square(pair: Pair) -> str:
    """One number where height and width are equal, else the pair."""
    return str(pair[0] if pair[0] == pair[1] else pair)


def shown(**options: tuple[Pair, Pair]) -> str:
    """The options, each a value and its default, that are not at their defaults."""
    return "".join(f", {name}={square(value)}" for name, (value, usual) in options.items() if value != usual)
