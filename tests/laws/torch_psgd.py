"""PSGD as people write it in PyTorch, and the same with one mistake each."""

import torch


class PSGD(torch.optim.Optimizer):
    """w ← w − η(s(w) ⊙ g + κw), s = λ(d + ε); Δ None means the single target zero."""

    def __init__(self, params, lr, delta=None, levels=None, eps=0.0, strength=1.0, weight_decay=0.0):
        options = {"lr": lr, "delta": delta, "levels": levels, "eps": eps, "strength": strength}
        super().__init__(params, {**options, "weight_decay": weight_decay})

    def integers(self, x):
        return torch.round(x)

    def distance(self, w, group):
        if group["delta"] is None:
            return w.abs()
        k = self.integers(w / group["delta"])
        if group["levels"] is not None:
            k = k.clamp(-group["levels"], group["levels"])
        return (w - k * group["delta"]).abs()

    def scale(self, w, group):
        return group["strength"] * (self.distance(w, group) + group["eps"])

    def direction(self, w, g, group):
        return self.scale(w, group) * g + group["weight_decay"] * w

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(group["lr"] * self.direction(p, p.grad, group))


class EpsForgotten(PSGD):
    def scale(self, w, group):
        return group["strength"] * self.distance(w, group)


class Squared(PSGD):
    def scale(self, w, group):
        return group["strength"] * (self.distance(w, group) ** 2 + group["eps"])


class FloorForRound(PSGD):
    def integers(self, x):
        return torch.floor(x)


class ConstantScale(PSGD):
    """The distance to itself, always 0: the factor has no effect at all."""

    def scale(self, w, group):
        return torch.ones_like(w)


class DecayScaled(PSGD):
    def direction(self, w, g, group):
        return self.scale(w, group) * (g + group["weight_decay"] * w)
