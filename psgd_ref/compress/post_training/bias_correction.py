"""Bias correction: take away the mean error that rounded weights cause at every output."""

from psgd_ref.compress.graph import weight_layers
from psgd_ref.compress.post_training.activations import observe
from psgd_ref.compress.post_training.moments import input_signals
from psgd_ref.core.arguments import Array
from psgd_ref.nn import Model


def correct_biases(quantized: Model, original: Model, images: Array | None = None) -> None:
    """b ← b − Σ (Ŵ − W) E[x] over each output's inputs. Modifies the quantized model.

    Layers without a bias stay as they are, too: fold their batch norms first. Zeros of padding count as any
    other input.

    Parameters
    ----------
    original
        The same network before quantization.
    images
        Measure E[x] on them, in the original (N, H, W, C); by default it is read off the batch norms
        (`input_signals`), and layers without one before them stay as they are.

    Source
    ------
    Nagel et al. 2019 (DFQ).
    """
    means = _measured(original, images) if images is not None else _expected(original)
    for each, before in zip(weight_layers(quantized), weight_layers(original), strict=True):
        mean = means.get(each.name)
        if mean is None or each.layer.bias is None:
            continue
        error = each.layer.by_input(each.layer.weight.value - before.layer.weight.value)
        # Sum over the kernel's window first, then over the input channels.
        by_input = error.reshape(-1, *error.shape[-2:]).sum(axis=0)
        each.layer.bias.value[...] -= mean.astype(error.dtype) @ by_input


def _expected(model: Model) -> dict[str, Array]:
    signals = input_signals(model)
    return {name: signal.moments()[0] for name, signal in signals.items() if signal is not None}


def _measured(model: Model, images: Array) -> dict[str, Array]:
    return {name: inputs.mean for name, inputs in observe(model, images).items()}
