"""Everything that the laws draw: target sets, weights, gradients, step sizes, invertible warps.

Weights sit where things go wrong: on targets, next to them, half-way, beyond the range, at zero, among
the subnormals, many orders of magnitude apart. Every draw is a plain object whose repr is code.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

from psgd_ref.core import FiniteTargets, Targets, UniformGrid, Warp, Zero
from psgd_ref.core.arguments import Array

T = TypeVar("T")

seeds = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Setting:
    """A target set with ε, λ and cap: what a warp is made of."""

    targets: Targets
    eps: float
    strength: float
    cap: bool = False

    @property
    def warp(self) -> Warp:
        """The library's own warp of this setting."""
        return Warp(self.targets, self.eps, self.strength, self.cap)

    @property
    def points(self) -> Array:
        """Targets to place weights at, in order; of an endless lattice the middle ones."""
        if isinstance(self.targets, UniformGrid):
            levels = self.targets.levels
            reach = 8 if levels is None else levels
            return np.arange(-reach, reach + 1) * self.targets.step
        return self.targets.values if isinstance(self.targets, FiniteTargets) else np.zeros(1)

    @property
    def endless(self) -> bool:
        """True of a lattice without ends, of which `points` are a part."""
        return isinstance(self.targets, UniformGrid) and self.targets.levels is None

    @property
    def unit(self) -> float:
        """The mean gap, or 1 where there is a single target."""
        gap = self.targets.mean_gap()
        return gap if np.isfinite(gap) else 1.0

    @property
    def widest(self) -> float:
        """The widest gap between neighbouring targets."""
        return float(np.diff(self.points).max(initial=0.0)) or 1.0


# The strategies below are built once: Hypothesis validates every new one, which costs more than a draw.


@st.composite
def _built(draw: st.DrawFn, make: Callable[..., T], *parts: st.SearchStrategy[Any]) -> T:
    """`make` of drawn parts; unlike st.builds it shows what was made, which is code, not how."""
    return make(*(draw(part) for part in parts))


@functools.cache
def powers(low: float, high: float) -> st.SearchStrategy[float]:
    """10^x with x between low and high: evenly spread over orders of magnitude."""
    return st.floats(low, high).map(lambda x: float(10.0**x))


@functools.cache
def uniform_grids(lattice: bool | None = None) -> st.SearchStrategy[UniformGrid]:
    """Grids of 1 to 8 or 127 levels a side (lattice=False), endless ones (True), or either (None)."""
    steps = st.one_of(st.sampled_from([1.0, 0.5, 0.1, 1 / 3]), powers(-6, 6))
    finite = st.one_of(st.integers(1, 8), st.just(127))
    endless: st.SearchStrategy[Any] = st.none()
    levels = {None: endless | finite, True: endless, False: finite}[lattice]
    return st.builds(UniformGrid, steps, levels)


@functools.cache
def uneven_targets(smallest: int = 1) -> st.SearchStrategy[FiniteTargets]:
    """Sets of up to 6 targets whose gaps differ by up to three orders of magnitude."""

    def place(gaps: list[float], start: float, unit: float) -> FiniteTargets:
        return FiniteTargets(unit * (start + np.concatenate([[0.0], np.cumsum(gaps)])))

    gaps = st.lists(powers(-1.5, 1.5), min_size=smallest - 1, max_size=5)
    return _built(place, gaps, st.floats(-8, 8), powers(-3, 3))


@functools.cache
def target_sets(several: bool = False) -> st.SearchStrategy[Targets]:
    """Any set; with `several`, at least two targets."""
    many = st.one_of(uniform_grids(), uneven_targets(2))
    return many if several else st.one_of(many, st.just(Zero()), uneven_targets(1))


_EPS_IN_GAPS = {
    "zero": st.just(0.0),
    "positive": powers(-6, 1),
    "any": st.one_of(st.just(0.0), powers(-6, 1)),
}
_STRENGTH_PER_GAP = st.one_of(st.just(1.0), powers(-2, 2))


@functools.cache
def setups(
    targets: st.SearchStrategy[Targets] | None = None, eps: str = "any", cap: bool | None = None
) -> st.SearchStrategy[Setting]:
    """A setting in which ε is 0 or 10^−6 … 10 gaps and λ is 10^−2 … 10^2 per gap.

    Parameters
    ----------
    eps, cap
        ε is "any", "zero" or "positive"; the cap is as given, or either where None and the set allows it.
    """

    def build(chosen: Targets, share: float, per_gap: float, wanted: bool) -> Setting:
        unit = Setting(chosen, 0.0, 1.0).unit
        several = bool(np.isfinite(chosen.mean_gap()))
        return Setting(chosen, share * unit, per_gap / unit, several and (wanted if cap is None else cap))

    chosen = target_sets() if targets is None else targets
    return _built(build, chosen, _EPS_IN_GAPS[eps], _STRENGTH_PER_GAP, st.booleans())


_tiny = st.integers(1, 40).map(lambda k: 2.0**-k)

shares = st.one_of(
    st.sampled_from([0.0, 0.5]),
    st.floats(0, 1, allow_subnormal=False),
    _tiny,
    _tiny.map(lambda x: 1 - x),
    _tiny.map(lambda x: 0.5 - x / 2),
    _tiny.map(lambda x: 0.5 + x / 2),
)
"""A place between two targets as a fraction of their gap: the ends, the middle, next to them, anywhere."""

_SMALL = (0.0, 5e-324, -1e-310, 2.2250738585072014e-308, -1e-200)
_places = st.tuples(
    st.sampled_from(["between", "between", "small", "beyond", "far"]),
    st.integers(-(2**20), 2**20),
    shares,
)


def _weight(setting: Setting, beyond: float, kind: str, where: int, share: float) -> float:
    """One weight from a drawn place: between two targets, tiny, outside the range, or far away."""
    points, unit, side = setting.points, setting.unit, 1.0 if where >= 0 else -1.0
    endless = setting.endless
    if kind == "small":
        w = _SMALL[where % len(_SMALL)]
    elif kind == "far" and endless:
        w = (where + share) * unit
    elif kind == "far" and isinstance(setting.targets, Zero):
        w = side * 10.0 ** (-12 + 15 * share)
    elif kind in ("beyond", "far") and (beyond or len(points) == 1) and not endless:
        w = (points[-1] if side > 0 else points[0]) + side * share * max(beyond, 1.0) * unit
    elif len(points) == 1:
        w = points[0] + side * share * unit
    else:
        k = (where + int(np.argmin(np.abs(points)))) % (len(points) - 1)  # shrinks towards zero
        w = points[k] + share * (points[k + 1] - points[k])
    return float(w if beyond or endless or len(points) == 1 else np.clip(w, points[0], points[-1]))


_SIZES = {None: (1, 5), 1: (1, 1), 2: (2, 2), 3: (3, 3)}
_place_lists = {
    size: st.one_of(
        st.lists(_places, min_size=least, max_size=most),
        st.integers(least, most).map(lambda n: [("small", 0, 0.0)] * n),
    )
    for size, (least, most) in _SIZES.items()
}


@dataclass(frozen=True)
class Placed:
    """A setting with weights to look at."""

    setting: Setting
    w: Array


def _scattered(seed: int) -> list[tuple[str, int, float]]:
    """Five places from a seed, none for 0: beyond both ends, on or next to a target, a wall, anywhere.

    Hypothesis likes to draw one thing again and again; these make every example try every kind of place.
    """
    if seed == 0:
        return []
    rng = np.random.default_rng(seed)
    where = [int(k) for k in rng.integers(0, 2**20, 3)]
    near = float(2.0 ** -rng.integers(1, 41) * rng.integers(0, 2))
    between = [
        ("between", where[0], near),
        ("between", where[1], 0.5 - near / 2),
        ("between", where[2], rng.random()),
    ]
    return [("beyond", 1, rng.random()), ("beyond", -1, rng.random()), *between]


@functools.cache
def placed(
    settings: st.SearchStrategy[Setting], size: int | None = None, beyond: float = 4.0
) -> st.SearchStrategy[Placed]:
    """Vectors of `size` (1, 2, 3) or 1 to 10 weights, up to `beyond` mean gaps past the outermost targets."""

    def build(setting: Setting, places: list[tuple[str, int, float]], seed: int) -> Placed:
        places = [*places, *_scattered(seed)] if size is None else places
        return Placed(setting, np.array([_weight(setting, beyond, *place) for place in places]))

    return _built(build, settings, _place_lists[size], seeds if size is None else st.just(0))


@dataclass(frozen=True)
class Push:
    """A setting, weights, gradients of their shape and a step size: all that a step needs."""

    setting: Setting
    w: Array
    g: Array
    lr: float

    @property
    def t(self) -> Array:
        """t = ηλgσ, the step in units of the distance to the target (at ε = 0)."""
        side = np.sign(self.w - self.setting.targets.nearest(self.w))
        return np.asarray(self.lr * self.setting.strength * self.g * side)


@functools.cache
def pushes(
    settings: st.SearchStrategy[Setting], largest: float = 4.0, beyond: float = 4.0, size: int | None = None
) -> st.SearchStrategy[Push]:
    """A step to take, with ηλ|g| at most `largest` for every weight."""

    def build(at: Placed, lr: float, force: list[float]) -> Push:
        t = np.resize(np.array(force), at.w.size)
        return Push(at.setting, at.w, t / (lr * at.setting.strength), lr)

    forces = st.lists(st.floats(-largest, largest, allow_subnormal=False), min_size=1, max_size=5)
    return _built(build, placed(settings, size, beyond), powers(-4, 1), forces)


@dataclass(frozen=True)
class MixingWarp:
    """An invertible warp that mixes coordinates: F(w) = B arcsinh(A w), drawn from a seed.

    A and B are n × n of condition at most 3, so that no accident of the draw hides the order of a gap.
    """

    seed: int
    n: int

    @property
    def factors(self) -> tuple[Array, Array]:
        """A and B."""
        rng = np.random.default_rng(self.seed)

        def factor() -> Array:
            left, right = (np.linalg.qr(rng.standard_normal((self.n, self.n)))[0] for _ in range(2))
            return np.asarray(left * rng.uniform(0.7, 2.0, self.n) @ right)

        return factor(), factor()

    def __call__(self, w: Array) -> Array:
        a, b = self.factors
        return np.asarray(b @ np.arcsinh(a @ w))

    def inverse(self, y: Array) -> Array:
        a, b = self.factors
        return np.asarray(np.linalg.solve(a, np.sinh(np.linalg.solve(b, y))))

    def jacobian(self, w: Array) -> Array:
        a, b = self.factors
        return np.asarray(b @ (a / np.hypot(1, a @ w)[:, None]))

    def inverse_derivatives(self, w: Array, v: Array) -> tuple[Array, float]:
        """½D²F⁻¹[v, v] at F(w), and the most that ‖D³F⁻¹[v, v, v]‖/6 is within |v| of it.

        F⁻¹(y) = A⁻¹ sinh(B⁻¹y), and sinh(B⁻¹F(w)) = A w.
        """
        a, b = self.factors
        u = np.linalg.solve(b, v)
        widest = np.cosh(np.abs(np.arcsinh(a @ w)) + np.abs(u)) * np.abs(u) ** 3
        return np.linalg.solve(a, (a @ w) * u**2) / 2, float(
            np.abs(np.linalg.inv(a)).sum() * widest.max() / 6
        )


mixing_warps = st.builds(MixingWarp, seeds, st.integers(1, 4))
