"""Methods as people bring them: right ones, and ones with a single mistake."""

import numpy as np

from psgd_ref.core import FiniteTargets, UniformGrid, Warp


def rule(w, targets, eps, strength):
    return strength * (np.abs(w - targets.nearest(w)) + eps)


def bare(w, targets):
    """No ε and no λ: the harness multiplies by λ, and tries ε = 0 alone."""
    return np.abs(w - targets.nearest(w))


def magnitude(w, targets):
    """For zero alone."""
    if targets.mean_gap() < np.inf or targets.nearest(np.zeros(1)) != 0:
        raise NotImplementedError("targets other than zero")
    return np.abs(w)


def declines(w, targets):
    raise NotImplementedError("never today")


def eps_forgotten(w, targets, eps, strength):
    return strength * np.abs(w - targets.nearest(w))


def constant(w, targets):
    return np.ones_like(w)


def single(w, targets):
    return np.abs(w - targets.nearest(w)).astype(np.float32)


def step(w, g, lr, targets, eps, strength):
    d = np.abs(w - targets.nearest(w))
    return w - lr * strength * (d + eps) * g


def step_with_decay(w, g, lr, targets, eps, strength, weight_decay=0.0, decay_target="zero"):
    """Decay outside the scaling, to zero or to the grid."""
    offset = w - targets.nearest(w)
    pull = offset if decay_target == "grid" else w
    return w - lr * (strength * (np.abs(offset) + eps) * g + weight_decay * pull)


def decay_target_forgotten(w, g, lr, targets, eps, strength, weight_decay=0.0, decay_target="zero"):
    return step_with_decay(w, g, lr, targets, eps, strength, weight_decay)


def in_place(w, g, lr, targets, eps, strength):
    w -= lr * strength * (np.abs(w - targets.nearest(w)) + eps) * g
    return w


def keep_half(w, sparsity):
    """Booleans, and twice as many as were asked for."""
    return np.abs(w) > np.quantile(np.abs(w), sparsity / 2)


class Codes:
    """Round half to even on a uniform grid."""

    def __init__(self, targets):
        if not isinstance(targets, UniformGrid):
            raise NotImplementedError("uneven levels")
        self.scale, self.reach = targets.step, targets.levels
        self.levels = None if self.reach is None else np.arange(-self.reach, self.reach + 1) * self.scale

    def codes(self, w):
        k = np.rint(w / self.scale)
        return (k if self.reach is None else k.clip(-self.reach, self.reach)).astype(int)


class Table:
    """Indices into a list of levels, and no scale."""

    scale = None

    def __init__(self, targets):
        if not isinstance(targets, FiniteTargets):
            raise NotImplementedError("a grid")
        self.targets, self.levels = targets, targets.values

    def codes(self, w):
        return (self.targets.position(w) + self.targets.origin).astype(int)


def make_table(targets):
    return Table(targets)


class HalfUp(Codes):
    """Ties upwards."""

    def codes(self, w):
        k = np.floor(w / self.scale + 0.5)
        return (k if self.reach is None else k.clip(-self.reach, self.reach)).astype(int)


class Asymmetric(Codes):
    """One level more below zero than was asked for: two's complement."""

    def codes(self, w):
        k = np.rint(w / self.scale)
        return (k if self.reach is None else k.clip(-self.reach - 1, self.reach)).astype(int)


class OwnWarp:
    """Only what the protocol asks for, and λ = 1."""

    def __init__(self, targets, eps):
        self.inner = Warp(targets, eps)

    def __call__(self, w):
        return self.inner(w)

    def inverse(self, y):
        return self.inner.inverse(y)


class ForgetsEps(OwnWarp):
    def inverse(self, y):
        return Warp(self.inner.targets, 0.0).inverse(y)


class Several:
    """A bundle: two parts as attributes."""

    @staticmethod
    def scale(w, targets, eps):
        return np.abs(w - targets.nearest(w)) + eps

    @staticmethod
    def nearest(w, targets):
        return targets.nearest(w)


several = Several()
