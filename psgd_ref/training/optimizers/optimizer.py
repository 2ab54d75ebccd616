"""What every optimiser is: a chain of small transforms, a learning rate, and a move."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from psgd_ref.core.arguments import Array, fraction, real_number
from psgd_ref.nn import Model
from psgd_ref.training.optimizers.fused import Fused, fuse
from psgd_ref.training.optimizers.links.position import ScaleByPosition
from psgd_ref.training.optimizers.links.proximal import Proximal, ToZero
from psgd_ref.training.optimizers.links.pull import PullToTargets
from psgd_ref.training.optimizers.links.refit import Fitter
from psgd_ref.training.optimizers.links.transforms import State, Transform, schedule_value
from psgd_ref.training.optimizers.schedules import Schedule, constant


class Optimizer:
    """A chain of transforms, a learning rate, and the move along the direction that comes out.

    u = t_k(… t_1(g)),   w ← w − η u   (or the same Euler step in the coordinates of the chain's
    `ScaleByPosition`)

    An optimiser holds options alone. What changes is in the state that `init` makes: a dictionary of
    arrays, those of link i of the chain under the names "i.name", and `step`.

    Parameters
    ----------
    chain
        The transforms, first to last; at most one of them a `ScaleByPosition`.
    lr
        η, a number ≥ 0 or a schedule from the number of steps taken to η.
    decoupled_decay
        κ of a decay that acts on w by itself, w ← (1 − ηκ) w, beside the move.
    decoupled_pull
        The same towards the nearest target, w ← w − ηκ(w − w̄), before the move.
    proximal
        What is done to the weights after the move, such as `ToTargets`.
    gradient_at
        Where the gradient is taken: at w + a (w̄ − w), a in [0, 1] or a schedule; 0 is at the weights.
        Needs a `ScaleByPosition` or a `PullToTargets`, whose targets are meant.

    Raises
    ------
    ValueError
        For numbers that are not accepted, for two position scales in one chain, and for a `gradient_at`
        without targets.

    Examples
    --------
    >>> import psgd_ref as pr
    >>> pr.SGD(lr=0.1, momentum=0.5).chain
    (AddDecay(weight_decay=0.0001), Momentum(momentum=0.5))
    """

    chain: tuple[Transform, ...]
    schedule: Schedule
    position: ScaleByPosition | None
    decoupled_decay: float
    decoupled_pull: PullToTargets | None
    proximal: Proximal | None
    gradient_at: float | Schedule
    fused: Fused | None

    def __init__(
        self,
        chain: Sequence[Transform],
        lr: float | Schedule,
        decoupled_decay: float = 0.0,
        *,
        decoupled_pull: PullToTargets | None = None,
        proximal: Proximal | None = None,
        gradient_at: float | Schedule = 0.0,
    ) -> None:
        positions = [link for link in chain if isinstance(link, ScaleByPosition)]
        if len(positions) > 1:
            raise ValueError(f"a chain may hold one ScaleByPosition; got {len(positions)}")
        targets = [link for link in chain if isinstance(link, ScaleByPosition | PullToTargets)]
        if not callable(gradient_at):
            fraction("gradient_at", gradient_at)
        if gradient_at != 0 and not targets:
            raise ValueError("gradient_at needs targets to take the gradient at; the chain has none")
        # Not by assignment, which frozen subclasses refuse.
        vars(self).update(
            chain=tuple(chain),
            schedule=lr if callable(lr) else constant(lr),
            position=positions[0] if positions else None,
            decoupled_decay=real_number("weight_decay", decoupled_decay),
            decoupled_pull=decoupled_pull,
            proximal=proximal,
            gradient_at=gradient_at,
            fused=fuse(chain)
            if decoupled_decay == 0 and decoupled_pull is None and isinstance(proximal, ToZero | None)
            else None,
        )

    def __repr__(self) -> str:
        links = ", ".join(map(repr, self.chain))
        extra = {
            "decoupled_decay": self.decoupled_decay,
            "decoupled_pull": self.decoupled_pull,
            "proximal": self.proximal,
            "gradient_at": self.gradient_at,
        }
        more = "".join(f", {name}={value!r}" for name, value in extra.items() if value)
        return f"Optimizer([{links}], lr={self.schedule!r}{more})"

    def init(self, model: Model) -> State:
        """The state before the first step: a dictionary of arrays, `step` among them."""
        state: State = {"step": np.zeros((), np.int64)}
        for i, link in enumerate(self.chain):
            state |= {f"{i}.{name}": array for name, array in link.init(model).items()}
        for name, part in (("pull", self.decoupled_pull), ("proximal", self.proximal)):
            if part is not None:
                state |= {f"{name}.{key}": array for key, array in part.init(model).items()}
        return state

    def update(self, model: Model, state: State) -> State:
        """One step from the gradient in model.g. Modifies model.w and the arrays of `state`; returns it.

        What the model's mask prunes stays 0, whatever momentum or decay would do to it.
        """
        model.apply_mask()
        if self.fused is None:
            self.apply_chain(model, state)
        else:
            self.fused.update(model, state, self.rate(state))
            self._threshold(model, state)
        model.apply_mask()
        state["step"] += 1
        return state

    def apply_chain(self, model: Model, state: State) -> None:
        """The step, transform by transform; where `update` takes it in one pass, this is its oracle."""
        u: Array = model.g
        for i, link in enumerate(self.chain):
            u = link.update(u, model, _own(state, i))
        lr = self.rate(state)
        if self.proximal is not None:
            self.proximal.before(model, _own(state, "proximal"))
        if self.decoupled_decay > 0:
            model.w *= 1 - lr * self.decoupled_decay
        if self.decoupled_pull is not None:
            model.w -= lr * self.decoupled_pull.update(np.zeros_like(u), model, _own(state, "pull"))
        if self.position is None:
            model.w -= lr * u
        else:
            self.position.move(u, model, self.position_state(state), lr)
        self._threshold(model, state)

    def _threshold(self, model: Model, state: State) -> None:
        if self.proximal is not None:
            self.proximal.after(model, _own(state, "proximal"), self.rate(state))

    @contextmanager
    def displaced(self, model: Model, state: State) -> Iterator[None]:
        """A context in which the model stands where its gradient is to be taken (`gradient_at`).

        Modifies model.w, and restores it bit for bit at the end.
        """
        at = fraction("gradient_at", schedule_value("gradient_at", self.gradient_at, state))
        if at == 0:
            yield
            return
        kept = model.w.copy()
        i, link = next(
            (i, link)
            for i, link in enumerate(self.chain)
            if isinstance(link, ScaleByPosition | PullToTargets)
        )
        fitter = Fitter(model, link.grid)
        views = zip(fitter.views(model.w), link.refit.targets(fitter, _own(state, i)), strict=True)
        for w, targets in list(views):
            w[...] += at * (targets.nearest(w) - w)
        try:
            yield
        finally:
            model.w[...] = kept

    def rate(self, state: State) -> float:
        """η of the next step."""
        return self.schedule(int(state["step"]))

    def position_state(self, state: State) -> State:
        """The part of the state that belongs to the position scale of the chain."""
        return _own(state, next(i for i, link in enumerate(self.chain) if link is self.position))

    def effective_rates(self, model: Model, state: State) -> dict[str, float]:
        """η · mean(s) of every parameter, by name: what a rate means once the gradient is scaled."""
        if self.position is None:
            scale = np.ones_like(model.w)
        else:
            scale = self.position.scale(model, self.position_state(state))
        return {
            segment.name: self.rate(state) * float(scale[segment.span].mean()) for segment in model.segments
        }


def _own(state: State, link: int | str) -> State:
    """The arrays of one link of the chain by their own names, and the number of steps."""
    prefix = f"{link}."
    own = {name.removeprefix(prefix): a for name, a in state.items() if name.startswith(prefix)}
    return {**own, "step": state["step"]}
