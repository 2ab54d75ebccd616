"""What convolutions may read or write through, checked: axes, shapes and kinds."""

from psgd_ref.core.arguments import Array
from psgd_ref.kernels.reference import After, Norm, NormGradient
from psgd_ref.kernels.shapes import shaped


def check_norm(norm: Norm, vector: tuple[int, ...]) -> None:
    """Refuse what is no `Norm` with a number for every channel."""
    if not isinstance(norm, Norm):
        raise ValueError(f"norm must be a kernels.Norm; got {type(norm).__name__}")
    for name in ("gamma", "beta", "mean", "var"):
        shaped(name, getattr(norm, name), vector)


def check_norm_gradient(dy: Array, through: NormGradient) -> None:
    """Refuse what is no `NormGradient` for such a dy."""
    if not isinstance(through, NormGradient):
        raise ValueError(f"through must be a kernels.NormGradient; got {type(through).__name__}")
    shaped("x of the norm", through.x, dy.shape)
    shaped("terms", through.terms, (5, dy.shape[-1]))


def check_after(after: After, shape: tuple[int, ...]) -> None:
    """Refuse what is no `After` for a result of that shape."""
    if not isinstance(after, After):
        raise ValueError(f"after must be a kernels.After; got {type(after).__name__}")
    check_norm(after.norm, shape[3:])
    if after.residual is not None:
        shaped("residual", after.residual, shape)
