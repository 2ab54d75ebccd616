"""Where the time of a ResNet-32 training step goes: each convolution and batch norm, forward and backward."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from psgd_ref.experiments.benchmark import build, files
from psgd_ref.experiments.benchmark.cases import RESNET
from psgd_ref.experiments.benchmark.ours import build as build_case
from psgd_ref.experiments.benchmark.speed import PEAKS
from psgd_ref.experiments.benchmark.worker import turn
from psgd_ref.nn import BatchNorm, Conv2d, Layer
from psgd_ref.nn.parameters import named_layers
from psgd_ref.nn.remade import Remade
from psgd_ref.training import SGD

STEPS, UNCOUNTED = 25, 2
FORWARD, BACKWARD = "forward", "backward"
RECOMPUTATION = "recomputation"
# Layer, direction and kind of a part.
Key = tuple[str, str, str]
# Methods of a layer by the pass that they belong to.
_METHODS = {
    "forward": FORWARD,
    "forward_into": FORWARD,
    "backward": BACKWARD,
    "backward_into": BACKWARD,
    "backward_sum": BACKWARD,
}


@dataclass(frozen=True)
class Part:
    """A layer in one pass.

    Parameters
    ----------
    layer, direction, kind : str
        Its name; "forward" or "backward"; "convolution", "batch norm", or "recomputation", of outputs that
        were not kept and that this layer is the first to need again.
    seconds : float
        Of a step, median.
    operations : float
        Multiplications and additions of a convolution as the plain sum, of which Winograd needs fewer.
    bytes : float
        Of the arrays that the pass reads and writes, each once.
    """

    layer: str
    direction: str
    kind: str
    seconds: float
    operations: float
    bytes: float


@dataclass(frozen=True)
class Breakdown:
    """All parts, the seconds of a whole step, and what the computer gives: operations and bytes a second."""

    parts: list[Part]
    seconds: float
    operations_rate: float
    bytes_rate: float

    def table(self) -> str:
        """Milliseconds by kind and pass as Markdown, beside what operations and bytes alone would take."""
        from psgd_ref.experiments.shared.tables import markdown

        groups: dict[str, list[Part]] = defaultdict(list)
        for part in self.parts:
            groups[f"{part.kind}, {part.direction}"].append(part)
        lines = []
        for name, parts in groups.items():
            operations = sum(part.operations for part in parts) / self.operations_rate
            traffic = sum(part.bytes for part in parts) / self.bytes_rate
            lines.append([name, *_milliseconds(sum(part.seconds for part in parts), operations, traffic)])
        rest = self.seconds - sum(part.seconds for part in self.parts)
        lines += [
            ["all else", *_milliseconds(rest), "", ""],
            ["a step", *_milliseconds(self.seconds), "", ""],
        ]
        return markdown(["part", "ms", "by arithmetic", "by memory"], lines, "lrrr")

    def as_json(self) -> dict[str, Any]:
        """The same as plain numbers."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Breakdown":
        """What `as_json` gave."""
        return cls(**{**record, "parts": [Part(**part) for part in record["parts"]]})


def _milliseconds(*seconds: float) -> list[str]:
    return [f"{1e3 * each:.1f}" for each in seconds]


def measure(case: dict[str, Any] = RESNET, steps: int = STEPS) -> Breakdown:
    """Time every convolution and batch norm of a training step.

    Parameters
    ----------
    case : dict
        The options of the step, as `cases.RESNET`: a ResNet-32 at batch 128.
    steps : int
        How many steps medians are taken of.
    """
    model, (x, labels), optimizer = build.network(case), build.batch(case), SGD(0.1)
    state, watch = optimizer.init(model), _Watch()
    for name, layer in named_layers(model.net):
        if isinstance(layer, Conv2d | BatchNorm):
            watch.over(name, layer)
    whole, each = [], defaultdict[Key, list[float]](list)
    with watch.over_recomputation():
        for _ in range(UNCOUNTED + steps):
            watch.seconds.clear()
            start = perf_counter()
            model.loss_and_grad(x, labels)
            optimizer.update(model, state)
            whole.append(perf_counter() - start)
            for key, seconds in watch.seconds.items():
                each[key].append(seconds)
    parts = [
        Part(name, direction, kind, median(times[UNCOUNTED:]), *watch.work(name, direction, kind))
        for (name, direction, kind), times in each.items()
    ]
    return Breakdown(parts, median(whole[UNCOUNTED:]), _rate("sgemm"), _rate("triad 25M"))


class _Watch:
    """Times the passes of layers, and notes what they work on."""

    def __init__(self) -> None:
        self.seconds: dict[Key, float] = defaultdict(float)
        self.forward: dict[str, tuple[float, float]] = {}
        self.recomputing = 0.0
        self.inside = False

    def over(self, name: str, layer: Layer) -> None:
        """Watch a layer. Puts timed methods in place of its own."""
        for method, direction in _METHODS.items():
            if hasattr(layer, method):
                setattr(layer, method, self._timed(name, layer, getattr(layer, method), direction))

    @contextmanager
    def over_recomputation(self) -> Iterator[None]:
        """A context in which the recomputation of outputs is timed by itself."""
        original = Remade.array

        def timed(remade: Remade) -> Any:
            if remade.y is not None:
                return remade.y
            start, within = perf_counter(), self.recomputing
            result = original(remade)
            # What it called for its summands is in this time already.
            self.recomputing = within + perf_counter() - start
            return result

        methods: Any = Remade
        methods.array = timed
        try:
            yield
        finally:
            methods.array = original

    def work(self, name: str, direction: str, kind: str) -> tuple[float, float]:
        """Operations and bytes of a pass. Backward both are twice those forward: two gradients."""
        if kind == RECOMPUTATION:
            return 0.0, 0.0
        times = 1 if direction == FORWARD else 2
        operations, traffic = self.forward[name]
        return times * operations, times * traffic

    def _timed(self, name: str, layer: Layer, method: Any, direction: str) -> Any:
        kind = "convolution" if isinstance(layer, Conv2d) else "batch norm"

        def call(*args: Any, **options: Any) -> Any:
            if self.inside:  # one method of the layer calls another
                return method(*args, **options)
            self.inside, self.recomputing, start = True, 0.0, perf_counter()
            result = method(*args, **options)
            self.inside = False
            self.seconds[name, direction, kind] += perf_counter() - start - self.recomputing
            if self.recomputing > 0:
                self.seconds[name, direction, RECOMPUTATION] += self.recomputing
            if direction == FORWARD:
                x, y = (_size(a) for a in (args[-2], result[0]))
                plain = 2.0 * y * layer.weight.value[..., 0].size if isinstance(layer, Conv2d) else 0.0
                self.forward[name] = plain, 4.0 * (x + y)
            return result

        return call


def _size(a: Any) -> int:
    return int((a.x if isinstance(a, Remade) else a).size)


def _rate(peak: str) -> float:
    step, amount = build_case(PEAKS[peak])
    return amount / min(turn(step) for _ in range(3))


def save(found: Breakdown, folder: Path) -> dict[str, Path]:
    """Write the picture and its numbers into the folder and return their paths."""
    from psgd_ref.figures.breakdown import draw

    return files.save(found, draw, folder / "step")
