"""Position-based scaled gradient descent as an optimiser for PyTorch (the extra `torch`)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from psgd_ref.compress import MinMaxGrid, MSEGrid
from psgd_ref.core import Targets, UniformGrid, Zero
from psgd_ref.core.arguments import Array, below_one, choice, flag, fraction, real_number
from psgd_ref.core.scale import cell_length
from psgd_ref.kernels.parts import SMALLEST_STEP

Tensor = Any  # types are checked without this extra too
Group = dict[str, Any]


class PSGD(torch.optim.Optimizer):
    """`psgd_ref.training.PSGD` for PyTorch: u = s(w) ⊙ g + κ(w − t), v ← μv + u, w ← w − ηv.

    s(w) = λ(d + ε) with the distance d of each weight from its nearest target w̄: weights on a target move
    slowly, so that training ends with weights that rounding changes little. Scaled are parameters with more
    than one axis. The others, biases and norms, are left to plain SGD of the same rate, momentum and decay to
    zero: a bias begins at 0, a target, where at ε = 0 it would stay. Every group may have other options.

    Parameters
    ----------
    params, lr, momentum
        As in `torch.optim.SGD`; float32 or float64, η ≥ 0 and μ in [0, 1), which schedulers may change.
    bits
        Width of the grid that weights are drawn to, 2 … 16; 0 for the target zero alone (pruning), where
        strength must be a number; None for plain SGD.
    weight_decay, decay_target
        κ ≥ 0, and what it pulls to: "zero", t = 0, or "grid", t = w̄, where what is not scaled has none.
    eps, strength
        ε ≥ 0; λ ≥ 0, or "volume" for λ* of every tensor or channel (claim C3).
    grid
        Where Δ comes from: "min-max", max|w|/(2^(bits−1) − 1) at every step; "mse", of least squared error
        for the weights as they are when first used, and fixed from then on; "learned", from min-max on by
        Δ ← Σ wk/Σ k² for the integers k that the weights have.
    per_channel
        A Δ for each output channel, axis 0, in place of one for each tensor.
    cap
        Let d grow to half a step beyond the outermost targets and no further (claim A5).
    gradient_at
        a in [0, 1]: a closure is called with scaled weights at w + a(w̄ − w); without one, see `displaced`.
    foreach
        Treat a group's tensors together: the same bits, fewer calls, more memory. None: on a GPU only.

    Raises
    ------
    ValueError
        For options and dtypes that are not accepted, and when nothing would be scaled; from `step`, before
        anything moves, for sparse gradients and for scaled weights that are not finite.

    Examples
    --------
    >>> layer = torch.nn.Linear(3, 2)
    >>> optimizer = PSGD(layer.parameters(), lr=0.1, bits=4)
    >>> len(optimizer.targets(layer.weight)), optimizer.targets(layer.bias)
    (1, [])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        bits: int | None = None,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        eps: float = 0.0,
        strength: float | str = "volume",
        grid: str = "min-max",
        cap: bool = False,
        decay_target: str = "zero",
        per_channel: bool = False,
        gradient_at: float = 0.0,
        foreach: bool | None = None,
    ) -> None:
        options: Group = {"lr": lr, "bits": bits, "momentum": momentum, "eps": eps, "strength": strength}
        options |= {"weight_decay": weight_decay, "decay_target": decay_target, "grid": grid, "cap": cap}
        options |= {"per_channel": per_channel, "gradient_at": gradient_at, "foreach": foreach}
        super().__init__(params, options)
        if not any(_scaled(p, group) for group in self.param_groups for p in group["params"]):
            raise ValueError("PSGD needs bits and a parameter with more than one axis, or it scales nothing")

    def add_param_group(self, param_group: Group) -> None:
        """Add a group of parameters; ValueError for options that are not accepted."""
        _check({**self.defaults, **param_group})
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            if p.dtype not in (torch.float32, torch.float64):
                del self.param_groups[-1]
                raise ValueError(f"PSGD takes parameters of float32 or float64; got {p.dtype}")

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over options and state; ValueError, and nothing is loaded, where they do not fit."""
        own = iter([p for group in self.param_groups for p in group["params"]])
        for group in state_dict["param_groups"]:
            if missing := set(self.defaults) - set(group):
                raise ValueError(f"this is no state of PSGD: a group lacks {', '.join(sorted(missing))}")
            _check(group)
            for index, p in zip(group["params"], own, strict=False):  # torch itself refuses other numbers
                shapes = {"momentum_buffer": tuple(p.shape)}
                if _scaled(p, group):
                    shapes["grid_step"] = (_slots(p, group),)
                for name, value in state_dict["state"].get(index, {}).items():
                    if (given := tuple(value.shape)) != shapes.get(name):
                        raise ValueError(f"{name} of parameter {index} does not fit: its shape is {given}")
        super().load_state_dict(state_dict)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; with a closure, which computes loss and gradients, returns its loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad(), self.displaced():
                loss = closure()
        with torch.no_grad():
            # Whatever can be refused is looked at before the first weight moves.
            parts = [part for group in self.param_groups for part in self._parts(group)]
            for part in filter(lambda part: part.scaled, parts):
                part.look()
            for part in parts:
                part.update()
        return loss

    @contextmanager
    def displaced(self, at: float | None = None) -> Iterator[None]:
        """While this lasts scaled weights stand at w + a(w̄ − w); afterwards they are as before, to the bit.

        a is `at`, in [0, 1], or each group's `gradient_at`; 1 rounds. The backward pass belongs inside too.
        """
        kept: list[tuple[Tensor, Tensor]] = []
        try:
            with torch.no_grad():
                for group in self.param_groups:
                    a = fraction("at", group["gradient_at"] if at is None else at)
                    for p in [p for p in group["params"] if a > 0 and _scaled(p, group)]:
                        (nearest,) = _Part(group, [p], [self.state[p]], True).look().nearest()
                        kept.append((p, p.clone()))
                        p.copy_(nearest if a == 1 else p + a * (nearest - p))
            yield
        finally:
            with torch.no_grad():
                for p, before in kept:
                    p.copy_(before)

    def targets(self, parameter: Tensor) -> list[Targets]:
        """The targets in force of a parameter: one set, or one for each channel; none under plain SGD."""
        for group in self.param_groups:
            if any(p is parameter for p in group["params"]):
                levels, part = _levels(group), _Part(group, [parameter], [self.state[parameter]], True)
                steps = part.look().steps.tolist() if _scaled(parameter, group) else []
                return [UniformGrid(step, levels) if levels else Zero() for step in steps]
        raise ValueError("the parameter belongs to no group of this optimizer")

    def _parts(self, group: Group) -> list["_Part"]:
        """The group's parameters that have gradients, one by one or those that are treated alike together."""
        ready = [p for p in group["params"] if p.grad is not None]
        if any(p.grad.layout != torch.strided for p in ready):
            raise ValueError("PSGD takes dense gradients; got a sparse one")
        together = all(p.is_cuda for p in ready) if group["foreach"] is None else group["foreach"]
        alike: dict[Any, list[Tensor]] = {}
        for i, p in enumerate(ready):
            alike.setdefault((_scaled(p, group), *((p.device, p.dtype) if together else (i,))), []).append(p)
        return [_Part(group, ps, [self.state[p] for p in ps], key[0]) for key, ps in alike.items()]


@dataclass
class _Part:
    """Parameters of one group, device and dtype, all scaled or none, and their states.

    One goes the way of many. A multiply and an add round separately, so that bits depend on no alignment.
    """

    group: Group
    weights: list[Tensor]
    states: list[dict[str, Any]]
    scaled: bool
    steps: Array = field(default_factory=lambda: np.ones(0))  # Δ of every slot: of a tensor, or of a channel

    def look(self) -> "_Part":
        """Find Δ as it is before the step, and return self; ValueError for weights that are not finite."""
        rows = [w.detach().reshape(_slots(w, self.group), -1) for w in self.weights]
        largest, levels = _numbers([row.abs().amax(1) for row in rows]), _levels(self.group)
        if not np.isfinite(largest).all():
            bad = ", ".join(str(tuple(w.shape)) for w in self.weights if not w.isfinite().all())
            raise ValueError(f"weights must be finite; those of shape {bad} hold NaN or infinity")
        steps = np.maximum(largest / max(levels, 1), SMALLEST_STEP)
        self.steps = np.where((largest > 0) & (levels > 0), steps, 1.0)
        if self.group["grid"] == "min-max" or not levels:
            return self
        rule = (MSEGrid if self.group["grid"] == "mse" else MinMaxGrid)(self.group["bits"])
        for row, state in zip(rows, self.states, strict=True):
            if "grid_step" not in state:
                found = [rule.fit(channel).step for channel in row.cpu().numpy()]
                state["grid_step"] = torch.tensor(found, dtype=row.dtype, device=row.device)
        self.steps = _numbers([state["grid_step"] for state in self.states])
        return self

    def nearest(self) -> list[Tensor]:
        """w̄ of every weight."""
        return list(torch._foreach_mul(self._codes(), self._spread(self.steps)))

    def update(self) -> None:
        """The step, Δ that is learned brought up to the weights before it."""
        group, weights = self.group, self.weights
        momentum, pull = group["momentum"], weights if group["decay_target"] == "zero" else None
        u = [w.grad for w in weights]
        if self.scaled:
            if group["grid"] == "learned" and group["bits"]:
                self._learn()
            offset = torch._foreach_sub(weights, self.nearest())
            u = torch._foreach_mul(u, self._scale(offset))
            pull = offset if pull is None else pull
        if group["weight_decay"] > 0 and pull is not None:
            u = torch._foreach_add(u, torch._foreach_mul(pull, group["weight_decay"]))
        if momentum > 0:
            for w, state in zip(weights, self.states, strict=True):
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(w)
            v = [state["momentum_buffer"] for state in self.states]
            torch._foreach_mul_(v, momentum)
            torch._foreach_add_(v, u)
            u = v
        torch._foreach_sub_(weights, torch._foreach_mul(u, group["lr"]))

    def _scale(self, offset: list[Tensor]) -> list[Tensor]:
        """s = λ(d + ε) for the weights' offsets from their targets."""
        strength, eps, scale = self.group["strength"], self.group["eps"], torch._foreach_abs(offset)
        if self.group["cap"] and self.group["bits"]:
            torch._foreach_clamp_max_(scale, self._spread(self.steps / 2))
        if strength == "volume":  # λ* of `core.scale.volume_strength`, of all slots at once
            strength = self._spread((cell_length(self.steps, eps) / self.steps) ** 2)
        torch._foreach_add_(scale, eps)
        return list(torch._foreach_mul(scale, strength))

    def _codes(self) -> list[Tensor]:
        """The integers k = clip(rint(w/Δ))."""
        codes, levels = torch._foreach_div(self.weights, self._spread(self.steps)), _levels(self.group)
        torch._foreach_round_(codes)
        torch._foreach_clamp_max_(codes, levels)
        torch._foreach_clamp_min_(codes, -levels)
        return list(codes)

    def _learn(self) -> None:
        """Δ ← Σ wk/Σ k² in every slot that has integers other than 0."""
        for w, codes, state in zip(self.weights, self._codes(), self.states, strict=True):
            step = state["grid_step"]
            squares = (codes * codes).reshape(len(step), -1).sum(1)
            best = (w * codes).reshape(len(step), -1).sum(1) / squares
            step.copy_(torch.where(squares > 0, best.clamp(min=SMALLEST_STEP), step))
        self.steps = _numbers([state["grid_step"] for state in self.states])

    def _spread(self, slots: Array) -> list[Any]:
        """What belongs to a slot, for every tensor: a number, or a column of its channels."""
        if not self.group["per_channel"]:
            return list(slots.tolist())
        own = np.split(slots, np.cumsum([len(w) for w in self.weights])[:-1])
        return [
            torch.tensor(column, dtype=w.dtype, device=w.device).reshape(-1, *[1] * (w.ndim - 1))
            for w, column in zip(self.weights, own, strict=True)
        ]


def _scaled(p: Tensor, group: Group) -> bool:
    return group["bits"] is not None and p.ndim > 1 and p.numel() > 0


def _slots(p: Tensor, group: Group) -> int:
    return int(p.shape[0]) if group["per_channel"] else 1


def _levels(group: Group) -> int:
    return int(2 ** (group["bits"] - 1) - 1) if group["bits"] else 0


def _numbers(slots: list[Tensor]) -> Array:
    return np.asarray(torch.cat(slots).cpu().numpy(), np.float64)


def _check(group: Group) -> None:
    """ValueError for an option that is not accepted."""
    bits, strength = group["bits"], group["strength"]
    for name in ("lr", "weight_decay", "eps", *(() if isinstance(strength, str) else ("strength",))):
        real_number(name, group[name])
    below_one("momentum", group["momentum"])
    fraction("gradient_at", group["gradient_at"])
    choice("grid", group["grid"], ("min-max", "mse", "learned"))
    choice("decay_target", group["decay_target"], ("zero", "grid"))
    if bits is not None and (type(bits) is not int or bits not in (0, *range(2, 17))):
        raise ValueError(f"bits must be 2..16, 0 for the target zero, or None for plain SGD; got {bits!r}")
    if isinstance(strength, str) and choice("strength", strength, ("volume",)) and bits == 0:
        raise ValueError("strength 'volume' needs at least two targets; give a number instead")
    for name in ("cap", "per_channel", *(() if group["foreach"] is None else ("foreach",))):
        flag(name, group[name])
