"""Networks on the digits that lie on their grid: trained here, rounded, and written for the peers to read."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.compress import Grid, MSEGrid, QuantizedModel
from psgd_ref.core.arguments import Array
from psgd_ref.experiments.digits import recipe
from psgd_ref.experiments.peers.given import FLOAT, INT8, LAYERS, Given
from psgd_ref.experiments.store.arrays import ArrayStore, default_folder
from psgd_ref.interop.deployment.emulation import emulate
from psgd_ref.interop.deployment.network import Integers, Operation
from psgd_ref.interop.deployment.onnx_file import export_onnx
from psgd_ref.interop.deployment.plain import operations
from psgd_ref.interop.deployment.prepare import channels_first
from psgd_ref.models import mlp
from psgd_ref.nn import Conv2d, GlobalAvgPool, Linear, MaxPool2d, Model, ReLU, Sequential
from psgd_ref.training import PSGD, SGD, cosine, ramp

WIDTHS = (8, 4, 3, 2)
# Epochs of SGD, then of PSGD with weight decay to the grid.
EPOCHS = (20, 30)
LR = (0.1, 0.1)
DECAY, EPS = 0.2, 0.01


def convnet() -> Model:
    """Three convolutions and a linear layer, without batch norms: what is folded in would be off the grid."""
    return Model(
        Sequential(
            {
                "conv1": Conv2d(1, 8, 3, padding=1),
                "relu1": ReLU(),
                "conv2": Conv2d(8, 16, 3, padding=1),
                "relu2": ReLU(),
                "pool": MaxPool2d(2),
                "conv3": Conv2d(16, 16, 3, padding=1),
                "relu3": ReLU(),
                "mean": GlobalAvgPool(),
                "fc": Linear(16, 10),
            }
        )
    )


def perceptron() -> Model:
    """Three linear layers whose inputs fill the groups of 32 and 64 that many formats want."""
    return mlp((64, 64, 64, 10))


NETWORKS = {"convnet": convnet, "perceptron": perceptron}


def write_all(folder: Path) -> list[Path]:
    """Write every network at every width into a folder of its own, as `convnet/W4`; trained unless kept."""
    written = []
    store = ArrayStore(default_folder())
    for name, make in NETWORKS.items():
        trained = store.one(partial(_trained, name), {"network": name})
        for bits in WIDTHS:
            model = make()
            model.w[...] = trained[f"W{bits}"]
            written.append(folder / name / f"W{bits}")
            write(QuantizedModel(model, _grids(model, bits)), bits, written[-1])
    return written


def _trained(name: str) -> dict[str, Array]:
    """The weights of a network after training towards the grid of every width."""
    start, steps = NETWORKS[name](), recipe.steps(EPOCHS[0])
    recipe.fit_digits(start, SGD(cosine(LR[0], steps), momentum=0.9), EPOCHS[0], 0)
    return {f"W{bits}": _towards(start, bits).w for bits in WIDTHS}


def _towards(start: Model, bits: int) -> Model:
    """The network after training towards the grid of b bits in every layer."""
    model, steps = start.copy(), recipe.steps(EPOCHS[1])
    optimizer = PSGD(
        cosine(LR[1], steps),
        grid=_grids(model, bits),
        eps=EPS,
        weight_decay=ramp(DECAY, round(recipe.RAMP * steps)),
        decay_target="grid",
        refresh="learned",
        cap=True,
    )
    recipe.fit_digits(model, optimizer, EPOCHS[1], 0)
    return model


def _grids(model: Model, bits: int) -> dict[str, Grid]:
    return {segment.name: MSEGrid(bits) for segment in model.segments if segment.role == "weight"}


def write(quantized: QuantizedModel, bits: int, folder: Path) -> None:
    """Write a quantized network as peers are given it, see `given`."""
    data = recipe.data()
    images = data.normalise(data.test.images)
    if not any(isinstance(layer, Conv2d) for layer in quantized.net.children().values()):
        images = images.reshape(len(images), -1)
    found, taken = operations(quantized, images.shape[1:]), channels_first(images)
    arrays = {"images": taken, "logits": emulate(found, taken)}
    for each in found:
        if isinstance(each.weight, Integers):
            arrays |= {
                f"{each.name}.codes": each.weight.codes,
                f"{each.name}.scale": each.weight.scale,
                f"{each.name}.weight": each.weight.values.astype(np.float32),
                f"{each.name}.bias": each.bias,
            }
    given = Given(folder, bits, [_plain(each) for each in found], arrays)
    given.write()
    export_onnx(quantized, folder / INT8, images[:1])
    floats = Model(quantized.net)
    floats.w[...] = quantized.w
    export_onnx(floats, folder / FLOAT, images[:1])
    (folder / LAYERS).mkdir(exist_ok=True)
    for name in given.layers:
        _write_layer(quantized, given, name)


def _write_layer(quantized: QuantizedModel, given: Given, name: str) -> None:
    outputs, inputs, *window = given.weight(name).shape
    layer = Conv2d(inputs, outputs, window[0], padding=window[0] // 2) if window else Linear(inputs, outputs)
    alone = Model(Sequential({name: layer}))
    weight = f"{name}.weight"
    alone.w[...] = 0
    alone.segment(weight).view(alone.w)[...] = quantized.segment(weight).view(quantized.w)
    probe = given.probe(name)
    image = probe.transpose(0, 2, 3, 1) if probe.ndim == 4 else probe
    export_onnx(alone, given.folder / LAYERS / f"{name}.onnx", image[:1])


def _plain(operation: Operation) -> dict[str, Any]:
    return {name: getattr(operation, name) for name in ("kind", "name", "size", "stride", "padding")}
