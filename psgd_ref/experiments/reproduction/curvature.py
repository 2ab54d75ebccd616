"""Curvature and the cost of quantization, of a model and through its training."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from psgd_ref.analysis import ModelWarp, extreme_eigenvalues, quantization_expansion, spectral_density
from psgd_ref.compress import MinMaxGrid, quantize
from psgd_ref.data import load_digits
from psgd_ref.experiments.reproduction.training import Job, columns, looks, train, train_images, weights
from psgd_ref.experiments.store.arrays import Arrays
from psgd_ref.nn import Hessian, Model
from psgd_ref.training import Optimizer
from psgd_ref.training.progress import Progress

# Of the warp in which every model is seen; PSGD's own ε in the demonstration's search.
EPS = 0.01
TOLERANCE = 1e-2
BITS = (4, 3, 2)
LOOKS = 11
LANCZOS_STEPS = 80


def curvature(model: Model, bits: int, widths: Sequence[int], label_smoothing: float) -> dict[str, Any]:
    """λ_max of H and of H_Y, and the expansion of the cost of quantization to each of the bit-widths.

    The loss is that with label smoothing on all training images, batch norms with these images' statistics.

    Parameters
    ----------
    model : Model
        Not modified.
    bits : int
        Of the grid that belongs to the warp.
    widths : sequence of int
        Bit-widths that the model is quantized to.
    label_smoothing : float
        In [0, 1).
    """
    images, labels = train_images(load_digits())
    hessian = Hessian(model, images, labels, label_smoothing)
    warp = ModelWarp(model, MinMaxGrid(bits), EPS)
    warped = warp.hessian_product(hessian.product, model.w, hessian.gradient)
    size = model.w.size
    found: dict[str, Any] = {
        "loss": hessian.loss,
        "gradient": float(np.linalg.norm(hessian.gradient)),
        "top": extreme_eigenvalues(hessian.product, size, tolerance=TOLERANCE)[0],
        "top_warped": extreme_eigenvalues(warped, size, tolerance=TOLERANCE)[0],
    }
    for width in widths:
        cost = quantization_expansion(hessian, quantize(model, width).w, images, labels, label_smoothing)
        found |= {
            f"slope_W{width}": cost.slope,
            f"bend_W{width}": cost.bend,
            f"squared_W{width}": cost.squared,
            f"true_W{width}": cost.true,
        }
    return found


def at_the_end(job: Job) -> Arrays:
    """A run's last weights and their curvature, in the warp of its own targets (3 bits for SGD)."""
    model, _ = train(job)
    return {**weights(model), **columns([curvature(model, job.bits or 3, BITS, job.label_smoothing)])}


def through_training(job: Job) -> Arrays:
    """The curvature at evenly spaced epochs and the density of both spectra at the end; 2-bit warp."""

    def look(model: Model, optimizer: Optimizer, progress: Progress) -> dict[str, Any]:
        return {**curvature(model, 2, BITS, job.label_smoothing), "rate": optimizer.rate(progress.state)}

    model, seen = train(job, look, looks(job.epochs, LOOKS))
    images, labels = train_images(load_digits())
    hessian = Hessian(model, images, labels, job.label_smoothing)
    warped = ModelWarp(model, MinMaxGrid(2), EPS).hessian_product(hessian.product, model.w, hessian.gradient)
    spectra: Arrays = {}
    for name, product in (("spectrum", hessian.product), ("spectrum_warped", warped)):
        steps = min(LANCZOS_STEPS, model.w.size)
        density = spectral_density(product, model.w.size, steps, 1, np.random.default_rng(job.seed))
        spectra |= {f"{name}_nodes": density.nodes, f"{name}_weights": density.weights}
    return {**weights(model), **columns(seen), **spectra}
