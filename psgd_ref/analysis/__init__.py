"""What a trained model looks like: curvature, loss landscape, and where the weights lie on their grid."""

from psgd_ref.analysis.eigenvalues import extreme_eigenvalues
from psgd_ref.analysis.expansion import Expansion, quantization_expansion
from psgd_ref.analysis.landscape import loss_at, losses
from psgd_ref.analysis.model_warp import ModelWarp
from psgd_ref.analysis.occupation import Occupation, noise_drift, occupation
from psgd_ref.analysis.slices import Slice, filter_normalised, fitted_plane, straight
from psgd_ref.analysis.spectral_density import SpectralDensity, spectral_density
from psgd_ref.analysis.trace import hutchinson_trace

__all__ = [
    "Expansion",
    "ModelWarp",
    "Occupation",
    "Slice",
    "SpectralDensity",
    "extreme_eigenvalues",
    "filter_normalised",
    "fitted_plane",
    "hutchinson_trace",
    "loss_at",
    "losses",
    "noise_drift",
    "occupation",
    "quantization_expansion",
    "spectral_density",
    "straight",
]
