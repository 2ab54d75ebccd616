"""The network that every peer is given: files in a folder, read with NumPy alone.

network.json        its operations in order, by ONNX's names, and its bits
network.npz         NAME.codes, NAME.scale, NAME.weight (codes · scale) and NAME.bias of each layer, and
images (N, C, H, W) or (N, I) and their logits, computed in float64
float.onnx          the network with weights as floats: what a person would have
int8.onnx           the same with integers, as `psgd-ref export` writes it
layers/NAME.onnx    each layer alone, floats, without a bias
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FLOAT, INT8, LAYERS = "float.onnx", "int8.onnx", "layers"
_OPERATIONS, _ARRAYS = "network.json", "network.npz"


@dataclass(frozen=True)
class Given:
    """A network whose weights lie on their grid.

    Parameters
    ----------
    folder
        Where its files are.
    bits
        Of all weights.
    operations
        In order: "kind", "name" and what the kind needs, as "size", "stride" and "padding".
    arrays
        By name; weights (O, I, KH, KW) or (O, I).
    """

    folder: Path
    bits: int
    operations: list[dict[str, Any]]
    arrays: dict[str, Any]

    @property
    def layers(self) -> list[str]:
        """The names of the operations with weights."""
        return [each["name"] for each in self.operations if each["kind"] in ("Conv", "Gemm")]

    @property
    def images(self) -> Any:
        """The test images."""
        return self.arrays["images"]

    @property
    def logits(self) -> Any:
        """Their logits in float64."""
        return self.arrays["logits"]

    def weight(self, layer: str) -> Any:
        """A layer's weights, codes times scale."""
        return self.arrays[f"{layer}.weight"]

    def bias(self, layer: str) -> Any:
        """A layer's bias."""
        return self.arrays[f"{layer}.bias"]

    def probe(self, layer: str) -> Any:
        """Inputs of a layer alone whose outputs are its weights, see `probed`."""
        shape = self.weight(layer).shape
        inputs = int(np.prod(shape[1:]))
        return np.eye(inputs, dtype=np.float32).reshape(inputs, *shape[1:])

    def probed(self, layer: str, outputs: Any) -> Any:
        """The weights that outputs on the probe tell: of a convolution, those in the middle."""
        shape = self.weight(layer).shape
        if outputs.ndim == 4:
            outputs = outputs[:, :, outputs.shape[2] // 2, outputs.shape[3] // 2]
        return np.ascontiguousarray(outputs.T).reshape(shape)

    def perceptron(self, weights: dict[str, Any]) -> Any:
        """Logits of a network of linear layers with other weights, in float64, for peers that run nothing."""
        x = self.images.astype(np.float64)
        for each in self.operations:
            if each["kind"] == "Gemm":
                x = x @ weights[f"weight/{each['name']}"].astype(np.float64).T + self.bias(each["name"])
            elif each["kind"] == "Relu":
                x = np.maximum(x, 0)
        return x

    def write(self) -> None:
        """Write what is no ONNX."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"bits": self.bits, "operations": self.operations})
        (self.folder / _OPERATIONS).write_text(text, encoding="utf-8")
        np.savez(self.folder / _ARRAYS, **self.arrays)


def read(folder: str | Path) -> Given:
    """The network in a folder."""
    folder = Path(folder)
    found = json.loads((folder / _OPERATIONS).read_text(encoding="utf-8"))
    with np.load(folder / _ARRAYS, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return Given(folder, found["bits"], found["operations"], arrays)
