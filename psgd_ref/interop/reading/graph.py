"""The graph of a traced module as layers in sequence, with residual blocks where it adds."""

from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any

from psgd_ref.interop.reading.kinds import Shape, UnreadableError, layer_of, module_of
from psgd_ref.nn import AvgPool2d, BatchNorm, Flatten, GlobalAvgPool, Layer, ReLU, Residual
from psgd_ref.nn.containers import SHORTCUT

Node = Any  # a torch.fx.Node
Steps = list[tuple[str, Layer]]

_ADDS = ("add", "iadd", "add_")
_FLATTENS = ("flatten", "view", "reshape", "squeeze", "Flatten")
_NOTHING = ("contiguous", "clone", "Identity")
# So many problems are named.
_NAMED = 5


class Reader:
    """Turns nodes into layers, and remembers which module each layer came from.

    Parameters
    ----------
    graph
        A `torch.fx.Graph`.
    modules
        The modules by name.
    shapes
        Of every node that is a tensor.

    Attributes
    ----------
    sources
        The module whose weights a layer has.
    """

    def __init__(self, graph: Any, modules: Mapping[str, Any], shapes: Mapping[Node, Shape]) -> None:
        self.nodes, self.modules, self.shapes = list(graph.nodes), modules, shapes
        self.sources: dict[Layer, Any] = {}
        self.problems: list[str] = []
        self.kinds: dict[Node, Layer | None] = {}
        # Tensors that the module's code has permuted to (N, H, W, C).
        self.last: set[Node] = set()
        self.forks: dict[Node, Node] = {}
        self.placed: set[Node] = set()

    def layers(self) -> dict[str, Layer]:
        """All layers of the graph by name.

        Raises
        ------
        ValueError
            Names the modules and functions that cannot be read.
        """
        inputs = [node for node in self.nodes if node.op == "placeholder"]
        if len(inputs) != 1:
            raise ValueError(f"the module takes {len(inputs)} inputs; one can be read")
        (end,) = (node.args[0] for node in self.nodes if node.op == "output")
        # Kind by kind first, so that all that cannot be read is named at once.
        for node in self.nodes:
            if node in self.shapes and node.op not in ("placeholder", "output"):
                try:
                    self.kinds[node] = self._layer(node)
                except UnreadableError as error:
                    self.problems.append(f"{_name(node)} {error}")
        self._refuse()
        steps = self._steps(inputs[0], end)
        self.problems += [f"{_name(node)} leads nowhere" for node in self.kinds if node not in self.placed]
        self._refuse()
        return _unique(steps)

    def _refuse(self) -> None:
        if self.problems:
            more = [f"and {len(self.problems) - _NAMED} more"] if len(self.problems) > _NAMED else []
            raise ValueError(f"the module cannot be read: {'; '.join(self.problems[:_NAMED] + more)}")

    def _inputs(self, node: Node) -> list[Node]:
        """The tensors that a node takes."""
        return [each for each in node.all_input_nodes if each in self.shapes]

    def _function(self, node: Node) -> str:
        """The class of its module, or the name of its function."""
        if node.op == "call_module":
            return type(self.modules[node.target]).__name__
        return str(node.target if node.op == "call_method" else getattr(node.target, "__name__", node.target))

    def _layer(self, node: Node) -> Layer | None:
        """The layer of a node; None for a sum, and for what changes nothing here."""
        function, inputs = self._function(node), self._inputs(node)
        if node.op == "get_attr":
            raise UnreadableError("is a tensor of the module's own, which cannot be read")
        if function in _ADDS:
            if len(inputs) != 2 or node.kwargs.get("alpha", 1) != 1:
                raise UnreadableError("is a sum; one of two different tensors can be read")
            if all(each in self.last for each in inputs):
                self.last.add(node)
            return None
        if len(inputs) != 1:
            raise UnreadableError(f"is {function}() of {len(inputs)} tensors, which cannot be read")
        given, last = self.shapes[inputs[0]], inputs[0] in self.last
        if function == "permute":
            self._permute(node, given, last)
            return None
        if function in _FLATTENS:
            return self._flatten(node, given, last)
        if function == "mean":
            return self._mean(node, given, last)
        if last:
            self.last.add(node)
        return None if function in _NOTHING else self._of_module(node, function, given, last)

    def _of_module(self, node: Node, function: str, given: Shape, last: bool) -> Layer:
        if node.op != "call_module":
            if len(node.all_input_nodes) > 1:
                raise UnreadableError(f"is {function}() with options that are computed, which cannot be read")
            return self._pool(
                node, layer_of(module_of(function, node.args[1:], node.kwargs), given, last), given
            )
        module = self.modules[node.target]
        layer = self._pool(node, layer_of(module, given, last), given)
        calls = [each for each in self.nodes if each.op == "call_module" and each.target == node.target]
        if len(calls) > 1 and layer.parameters():
            raise UnreadableError("is used more than once; every layer has weights of its own")
        self.sources[layer] = module
        return layer

    def _permute(self, node: Node, given: Shape, last: bool) -> None:
        axes = node.args[1] if len(node.args) == 2 else node.args[1:]
        if len(given) != 4 or [axis % 4 for axis in axes] != ([0, 3, 1, 2] if last else [0, 2, 3, 1]):
            raise UnreadableError(f"is permute() to {tuple(axes)}, which cannot be read")
        if not last:
            self.last.add(node)

    def _flatten(self, node: Node, given: Shape, last: bool) -> Layer | None:
        shape = self.shapes[node]
        if last:
            raise UnreadableError("flattens (N, H, W, C), which cannot be read; (N, C, H, W) can")
        if shape == given or shape == given[:-1] == (*given[:2], 1):
            return None
        if len(shape) == 2 and shape[0] == given[0]:
            return Flatten()
        raise UnreadableError(f"makes {shape} of {given}; (N, …) to (N, product of the rest) can be read")

    def _mean(self, node: Node, given: Shape, last: bool) -> Layer:
        axes = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
        axes = sorted(axis % len(given) for axis in axes) if isinstance(axes, tuple | list) else axes
        if len(given) != 4 or axes != ([1, 2] if last else [2, 3]):
            raise UnreadableError(f"is mean() over {axes}; over height and width it can be read")
        return self._pool(node, GlobalAvgPool(), given)

    def _pool(self, node: Node, layer: Layer, given: Shape) -> Layer:
        """The layer itself, but a global pooling as one that gives images where a convolution follows."""
        if not isinstance(layer, GlobalAvgPool):
            return layer
        behind, waiting = set(), [node]
        while waiting:
            new = [user for user in waiting.pop().users if user not in behind]
            behind.update(new)
            waiting += new
        return AvgPool2d(given[2:]) if any(self._function(each) == "Conv2d" for each in behind) else layer

    def _back(self, node: Node) -> Iterator[Node]:
        """The node and those before it, down to the input; from a sum to where its two ways part."""
        yield node
        while inputs := self._inputs(node):
            node = inputs[0] if len(inputs) == 1 else self._fork(node)
            yield node

    def _fork(self, node: Node) -> Node:
        """The tensor from which both summands come."""
        if node not in self.forks:
            first, second = map(self._back, self._inputs(node))
            there = set(second)
            self.forks[node] = next(each for each in first if each in there)
        return self.forks[node]

    def _steps(self, start: Node, end: Node) -> Steps:
        """Named layers from one tensor to another."""
        path = list(takewhile(lambda node: node is not start, self._back(end)))[::-1]
        steps: Steps = []
        fused = None
        for place, node in enumerate(path):
            following = path[place + 1] if place + 1 < len(path) else None
            if node in self.placed:
                self.problems.append(f"{_name(node)} is used in several branches, which cannot be read")
            self.placed.add(node)
            if node is fused:
                continue
            step = self._block(node) if len(self._inputs(node)) == 2 else (_name(node), self.kinds[node])
            if step is None or step[1] is None:
                continue
            norm = step[1].norm if isinstance(step[1], Residual) else step[1]
            rectified = following is not None and isinstance(self.kinds[following], ReLU)
            if isinstance(norm, BatchNorm) and rectified and len(node.users) == 1:
                norm.relu, fused = True, following
            steps.append((step[0], step[1]))
        return steps

    def _block(self, node: Node) -> tuple[str, Layer] | None:
        """A sum as a residual block; None, and a problem noted, where no batch norm comes right before it."""
        main, side = (self._steps(self._fork(node), each) for each in self._inputs(node))
        if not _ends_in_norm(main) or (_ends_in_norm(side) and len(side) > len(main)):
            main, side = side, main
        if not _ends_in_norm(main):
            self.problems.append(f"{_name(node)} is a sum without a batch norm right before it")
            return None
        parts = [name.split(".")[:-1] for name, layer in (*main, *side) if layer in self.sources]
        shared = takewhile(lambda each: len(set(each)) == 1, zip(*parts, strict=False))
        prefix = ".".join(each[0] for each in shared)
        main, side = ([(_inside(name, prefix), layer) for name, layer in steps] for steps in (main, side))
        shortcuts = {name.partition(".")[0] for name, _ in side if "." in name}
        shortcut_name = shortcuts.pop() if len(shortcuts) == 1 else SHORTCUT
        side = [(_inside(name, shortcut_name), layer) for name, layer in side]
        norm_name, norm = main[-1]
        assert isinstance(norm, BatchNorm)
        block = Residual(
            _unique(main[:-1]), (norm_name, norm), _unique(side) if side else None, shortcut_name
        )
        return prefix or _name(node), block


def _name(node: Node) -> str:
    """The module's name, or that of the function's result."""
    return str(node.target if node.op == "call_module" else node.name)


def _inside(name: str, prefix: str) -> str:
    """The name within a module of that name."""
    return name.removeprefix(f"{prefix}.") if prefix else name


def _ends_in_norm(steps: Steps) -> bool:
    norm = steps[-1][1] if steps else None
    return isinstance(norm, BatchNorm) and not norm.relu


def _unique(steps: Steps) -> dict[str, Layer]:
    """Layers by name; of one name, such as that of a ReLU used twice, the later ones get a number."""
    named: dict[str, Layer] = {}
    for name, layer in steps:
        number = sum(1 for other in named if other == name or other.startswith(f"{name}_"))
        named[f"{name}_{number}" if name in named else name] = layer
    return named
