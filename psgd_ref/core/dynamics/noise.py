"""What gradient noise does to where a weight rests: an equivalent decay, and a bias towards the target.

Noise of variance v moves a weight in proportion to s(w): it dies out towards targets, so weights drift there.
"""

from psgd_ref.core.arguments import in_range, real_number


@in_range
def noise_decay(lr: float, strength: float, variance: float) -> float:
    """The decay to the grid that gradient noise is equivalent to at ε = 0: κ = ηλ²v/2.

    Noise with ηλ|ĝ| < 1 takes no weight over its target, which then attracts one on its side σ almost surely
    where E ln|1 − ηλσĝ| < 0. With symmetric noise and |g| of the order of ηλv this is
    −η(κ + σλg) + O((ηλ√v)⁴), so that a target holds weights from both sides for |g| < ηλv/2 = κ/λ.
    Source: claim E7.
    """
    lr = real_number("lr", lr)
    return lr * real_number("strength", strength) ** 2 * real_number("variance", variance) / 2


@in_range
def noise_bias(lr: float, strength: float, variance: float, curvature: float) -> float:
    """How far noise draws the mean of a weight from its minimum towards the target: ηλv/2h.

    E w = c − σηλv/2h to first order in η, on ½h(w − c)² with σ = sign(c − c̄), because E[s g] = 0 in any
    stationary state. It is the bias of decay to the grid at ε = 0 with κ of `noise_decay`, κ/(λh). Assumes
    noise so small that the weight stays on its side of the target and in its cell. Source: claim E9.
    """
    noise = real_number("lr", lr) * real_number("strength", strength) * real_number("variance", variance)
    return noise / (2 * real_number("curvature", curvature, positive=True))
