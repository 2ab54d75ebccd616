"""What a measurement leaves: its numbers and its picture."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from psgd_ref.interop.whole_file import write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Measurement(Protocol):
    """A result that plain numbers say."""

    def as_json(self) -> dict[str, Any]: ...


M = TypeVar("M", bound=Measurement)


def save(result: M, draw: "Callable[[M], Figure]", path: Path) -> dict[str, Path]:
    """Write `path`.json, and the picture as PNG and SVG, and return their paths; the folder is created."""
    from psgd_ref.figures.style import save as save_figure

    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = path.with_name(path.name + ".json")
    write_json(numbers, result.as_json())
    picture, _ = save_figure(draw(result), path)
    return {"numbers": numbers, "picture": picture}
