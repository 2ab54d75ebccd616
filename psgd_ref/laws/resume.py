"""Machines that save, load and replay an optimiser in every order: a resumed run must be the run itself."""

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import hypothesis
import numpy as np
import numpy.typing as npt
from hypothesis import Phase
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from psgd_ref.core import UniformGrid
from psgd_ref.core.arguments import Array, whole_number
from psgd_ref.laws.methods.protocols import StatefulStep
from psgd_ref.laws.trial import LawBrokenError, describe, own_settings

Make = Callable[[], StatefulStep]
_START = (0.3, -0.7, 1.1, -0.2)


@dataclass
class _Run:
    """An optimiser with its weights."""

    optimizer: StatefulStep
    w: Array

    def step(self, g: Array, grid: UniformGrid) -> None:
        takes_grid = "targets" in inspect.signature(self.optimizer.step).parameters
        extra: tuple[Any, ...] = (grid,) if takes_grid else ()
        w = np.asarray(self.optimizer.step(self.w.copy(), g.copy(), *extra))
        if w.shape != self.w.shape:
            raise LawBrokenError(f"step gives shape {w.shape} for weights of shape {self.w.shape}")
        self.w = np.array(w, self.w.dtype)


@dataclass
class _Saved:
    """What a checkpoint holds, and how many events came before it."""

    state: Any
    w: Array
    events: int


def state_machine(make: Make, start: npt.ArrayLike = _START) -> type[RuleBasedStateMachine]:
    """The machine of an optimiser: a run that is saved and loaded at will beside one that never is.

    Both take the same gradients, meet the same changes of Δ (the weights are stretched, so that a grid
    fitted to them changes; a `targets` that `step` asks for changes by itself), while a third instance
    works on something else. Bit for bit: the two have the same weights after every step; the steps taken
    since a checkpoint, replayed from it by a new instance, give what they gave; so does an instance that
    was used for something else before it loads. A checkpoint is a deep copy, as a file is.

    In pytest: `TestMine = state_machine(make).TestCase`.

    Parameters
    ----------
    make
        () → a new optimiser with `step`, `state_dict` and `load_state_dict`, see `protocols.StatefulStep`.
    start
        The weights that every run begins with.
    """
    first = np.array(start, dtype=np.asarray(start).dtype if np.asarray(start).dtype.kind == "f" else float)
    gradients = st.lists(
        st.floats(-1, 1, width=32, allow_subnormal=False), min_size=first.size, max_size=first.size
    )

    class Machine(RuleBasedStateMachine):
        """See `state_machine`."""

        def __init__(self) -> None:
            super().__init__()
            self.straight = _Run(make(), first.copy())
            self.broken = _Run(make(), first.copy())
            self.beside = _Run(make(), first.copy())
            self.grid = UniformGrid(0.25, 7)
            self.saved: list[_Saved] = []
            self.history: list[tuple[Array, float, UniformGrid, Array]] = []

        @rule(g=gradients)
        def step(self, g: list[float]) -> None:
            """Both runs take the same step."""
            self._event(np.reshape(np.array(g, first.dtype), first.shape), 1.0)

        @rule(g=gradients, factor=st.sampled_from([0.5, 2.0, 0.75]))
        def change_spacing(self, g: list[float], factor: float) -> None:
            """Δ changes, of a grid fitted to the weights and of one that is given; then a step."""
            self.grid = UniformGrid(self.grid.step * factor, self.grid.levels)
            self._event(np.reshape(np.array(g, first.dtype), first.shape), factor)

        @rule(g=gradients)
        def work_beside(self, g: list[float]) -> None:
            """Another instance steps; that must not touch these."""
            self.beside.step(np.reshape(np.array(g, first.dtype), first.shape), self.grid)

        @rule()
        def save(self) -> None:
            """A checkpoint of one run; that must not change it."""
            state = copy.deepcopy(self.broken.optimizer.state_dict())
            self.saved.append(_Saved(state, self.broken.w.copy(), len(self.history)))

        @precondition(lambda self: bool(self.saved))
        @rule(back=st.integers(0, 2), used=st.booleans())
        def resume(self, back: int, used: bool) -> None:
            """A new instance, or one used for something else, goes on from a checkpoint, step by step."""
            saved = self.saved[-1 - back % len(self.saved)]
            run = _Run(make(), first.copy())
            if used:
                run.step(np.ones_like(first), UniformGrid(1.0))
            run.optimizer.load_state_dict(copy.deepcopy(saved.state))
            run.w = saved.w.copy()
            for number, (g, factor, grid, after) in enumerate(self.history[saved.events :], start=1):
                run.w = run.w * first.dtype.type(factor)
                run.step(g, grid)
                _same(run.w, after, f"step {number} after loading a checkpoint, and the same step before")
            self.broken = run

        def _event(self, g: Array, factor: float) -> None:
            for run in (self.straight, self.broken):
                run.w = run.w * first.dtype.type(factor)
                run.step(g, self.grid)
            _same(self.broken.w, self.straight.w, "a step of a run with checkpoints, and of one without")
            self.history.append((g, factor, self.grid, self.straight.w.copy()))

    return Machine


def check_resume(
    make: Make,
    start: npt.ArrayLike = _START,
    examples: int = 50,
    steps: int = 15,
    seed: int | None = 0,
) -> None:
    """Run the machine of an optimiser; returns when every program of it kept the runs equal.

    Parameters
    ----------
    make, start
        As for `state_machine`.
    examples, steps
        Programs to try, and rules in each, at most.
    seed
        Of the search; None for a fresh one.

    Raises
    ------
    LawBrokenError
        With the smallest program that sets them apart.
    """
    whole_number("examples", examples, 1)
    machine = state_machine(make, start)
    if seed is not None:
        machine = hypothesis.seed(seed)(machine)
    settings = own_settings(examples, stateful_step_count=steps, phases=[Phase.generate, Phase.shrink])
    try:
        run_state_machine_as_test(machine, settings=settings)
    except LawBrokenError as broken:
        raise LawBrokenError(describe(broken)) from None


def _same(a: Array, b: Array, what: str) -> None:
    if not np.array_equal(a, b, equal_nan=True):
        at = int(np.argmax(np.ravel(a != b)))
        raise LawBrokenError(
            f"{what}, differ: weight {at} is {np.ravel(a)[at]!s}, and was {np.ravel(b)[at]!s}"
        )
