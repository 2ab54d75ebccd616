"""What layers with a sliding window share: their padding, and their repr."""

from typing import Any

from psgd_ref.kernels.shapes import Pair, pair
from psgd_ref.nn.layer import Shape


def border(size: Pair, stride: Pair, padding: Any) -> tuple[Pair, Pair]:
    """The padding on every side, and how many rows and columns of the result to drop at the top and left.

    Parameters
    ----------
    padding
        A whole number, a pair, or "same".

    Raises
    ------
    ValueError
        For something else, and "same" at another stride than 1.
    """
    if not isinstance(padding, str):
        return pair("padding", padding, 0), (0, 0)
    if padding != "same":
        raise ValueError(f'padding must be a whole number, a pair of them, or "same"; got {padding!r}')
    if stride != (1, 1):
        raise ValueError(f'padding="same" needs stride 1; got stride {square(stride)}')
    return (size[0] // 2, size[1] // 2), (1 - size[0] % 2, 1 - size[1] % 2)


def slid(shape: Shape | None, size: Pair, stride: Pair, padding: Pair, surplus: Pair = (0, 0)) -> Shape:
    """Height and width of the output, None where the input's is not known."""
    lengths = (None, None) if shape is None or len(shape) != 3 else shape[:2]
    return tuple(
        None if length is None else (length + 2 * padding[k] - size[k]) // stride[k] + 1 - surplus[k]
        for k, length in enumerate(lengths)
    )


def square(pair: Pair) -> str:
    """One number where height and width are equal, else the pair."""
    return str(pair[0] if pair[0] == pair[1] else pair)


def shown(**options: tuple[Pair, Pair]) -> str:
    """Those options that differ from their defaults, as text; each is given as its value and default."""
    return "".join(f", {name}={square(value)}" for name, (value, usual) in options.items() if value != usual)
