"""What EWGS and DSQ share: 2^b levels between two learned ends."""

from psgd_ref import kernels
from psgd_ref.compress.quantization_aware.fake_quantizer import FakeQuantizer, code_range
from psgd_ref.core.arguments import Array, finite_number, flag
from psgd_ref.kernels.parts import SMALLEST_STEP
from psgd_ref.nn.layer import Cache
from psgd_ref.nn.parameters import Parameter, filled


class LearnedRange(FakeQuantizer):
    """x ↦ l + Δ · clip(round((x − l)/Δ), 0, 2^b − 1), Δ = (u − l)/(2^b − 1), with l and u learned.

    An upper end that training moves below the lower one is set just above it.

    Parameters
    ----------
    bits
        1 … 16.
    lower, upper
        l < u, finite, in the unit of x.
    batched
        As in `LSQ`.

    Raises
    ------
    ValueError
        For other values.
    """

    def __init__(self, bits: int, lower: float, upper: float, batched: bool = False) -> None:
        _, self.cells = code_range(bits, False)
        if not _end("lower", lower) < _end("upper", upper):
            raise ValueError(f"a range needs finite ends, lower < upper; got {lower} and {upper}")
        self.bits, self.batched = bits, flag("batched", batched)
        self.lower = Parameter((), "quantizer", filled(lower))
        self.upper = Parameter((), "quantizer", filled(upper))

    @property
    def ends(self) -> tuple[float, float]:
        low = float(self.lower.value)
        return low, max(float(self.upper.value), low + max(1e-6 * abs(low), self.cells * SMALLEST_STEP))

    @property
    def grid(self) -> tuple[float, float]:
        """Δ and l."""
        lower, upper = self.ends
        return (upper - lower) / self.cells, lower

    def parameters(self) -> dict[str, Parameter]:
        return {"lower": self.lower, "upper": self.upper}

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        y = kernels.fake_quantize(x, *self.grid, 0, self.cells)
        return y, x if training else None


def _end(name: str, value: float) -> float:
    return finite_number(name, value, "finite, and lower < upper")
