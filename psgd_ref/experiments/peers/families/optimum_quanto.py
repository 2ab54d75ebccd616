"""optimum-quanto: integers for the weights of PyTorch's modules."""

from typing import Any

from psgd_ref.experiments.peers.families import shared


def qint(w: Any, bits: int) -> Any:
    """The weight of a linear layer after `quantize` and `freeze`: a scale a row at 8 bits, groups below.

    Below 8 bits a layer of one output alone would keep a scale for each of its weights: it is given twice.
    """
    import torch

    outputs, inputs = w.shape
    layer = torch.nn.Linear(inputs, max(outputs, 2), bias=False)
    layer.weight.data = torch.tensor(w, dtype=torch.float32).repeat(2 if outputs == 1 else 1, 1)
    network = torch.nn.Sequential(layer)
    _quantize(network, bits)
    return network[0].weight.dequantize().detach().numpy()[:outputs].astype(w.dtype)


def network(folder: str, bits: int | None = None) -> dict[str, Any]:
    """All layers by `quantize` and `freeze`, at the network's own bits or those given."""
    given = shared.read(folder)
    small = shared.torch_network(given)
    _quantize(small, bits or given.bits)
    found = {
        f"weight/{name}": getattr(small, name).weight.dequantize().detach().numpy() for name in given.layers
    }
    return {**shared.torch_logits(given, small), **found}


def _quantize(module: Any, bits: int) -> None:
    from optimum import quanto

    kinds = {2: quanto.qint2, 4: quanto.qint4, 8: quanto.qint8}
    if bits not in kinds:
        raise ValueError(f"bits must be 2, 4 or 8; got {bits}")
    quanto.quantize(module, weights=kinds[bits])
    quanto.freeze(module)


QUANTIZERS = {"optimum-quanto qint": (qint, (2, 4, 8))}

MEETINGS = {
    "optimum-quanto quantize and freeze, own bits": (network, {}, shared.BOTH),
    "optimum-quanto quantize and freeze, 8 bits": (network, {"bits": 8}, shared.BOTH),
}
