"""What `psgd-ref bench` times: one case a row, with the options that both sides build it from."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """One row of the benchmark.

    Parameters
    ----------
    name : str
        Of the row.
    work : str
        "train" (forward, backward, optimiser), "evaluate", "optimizer", "fit" (an epoch), "layer", "cold" (a
        new process that has to compile its kernels).
    options : dict
        What `ours.build` and `pytorch.build` make it from.
    against : dict
        Options that only the other side has.
    target : float, optional
        The ratio of times, ours to the other's, that this project sets itself.
    opponent : str
        The other side: "pytorch", "ours" where two cases of this package are compared, or "build" where only
        other builds are.
    headline : bool
        Whether it is one for which other builds and further peers are timed too.
    """

    name: str
    work: str
    options: dict[str, Any] = field(default_factory=dict)
    against: dict[str, Any] = field(default_factory=dict)
    target: float | None = None
    opponent: str = "pytorch"
    headline: bool = False

    def request(self, side: str) -> dict[str, Any]:
        """What a side is asked to build: "ours", or the other whatever its name."""
        extra = {} if side == "ours" else self.against
        return {"work": self.work, **self.options, **extra}


RESNET = {"model": "resnet", "depth": 32, "width": 16, "batch": 128, "image": (32, 32, 3)}
LAST, FIRST = {"channels_last": True}, {"channels_last": False}
DEMO = {"model": "convnet", "widths": (16, 16, 32), "batch": 64, "image": (8, 8, 1)}
SMALL = {"model": "convnet", "widths": (8, 16), "batch": 64, "image": (28, 28, 1)}
DEMO_MLP = {"model": "mlp", "widths": (64, 50, 20, 10), "batch": 64, "image": (64,)}
MLP = {"model": "mlp", "widths": (784, 256, 128, 10), "batch": 64, "image": (784,)}
FIRST_STEP = f"from psgd_ref.experiments.benchmark.build import training_step; training_step({RESNET})()"
# What PSGD is at its fullest, and as it is by default.
LEARNED = {"psgd": {"refresh": "learned", "cap": True}}
FEW, MANY = {**RESNET}, {"model": "mlp", "widths": (2048,) * 7}


def _resnet(**changes: Any) -> dict[str, Any]:
    return {**RESNET, **changes}


def _layer(channels: int, size: int, passes: str) -> Case:
    options = {"channels": channels, "size": size, "batch": 128, "passes": passes}
    return Case(f"layer 3×3 {channels}ch@{size}² {passes}", "layer", options, LAST)


def _aware(quantizer: str) -> Case:
    """A step of quantization-aware training, weights and activations, against a plain step."""
    bits = 8 if quantizer == "Bayesian Bits" else 4
    options = _resnet(depth=20, quantizer=quantizer, bits=bits)
    name = f"ResNet-20 train, {quantizer} W{bits}A{bits} / plain"
    return Case(name, "train", options, {"quantizer": None}, 2.0, "ours")


def _cold(name: str, target: float, *arguments: str) -> Case:
    """Python with these arguments, in which FOLDER is an empty folder, against other builds alone."""
    options = {"arguments": arguments}
    return Case(f"cold start, {name}", "cold", options, {}, target, "build", headline=True)


def _headline(name: str, work: str, options: dict[str, Any], against: dict[str, Any], target: float) -> Case:
    return Case(name, work, options, against, target, headline=True)


CASES = [
    _headline("ResNet-32 train, channels_last", "train", RESNET, LAST, 0.42),
    Case("ResNet-32 train, NCHW", "train", RESNET, FIRST),
    _headline("ResNet-32 evaluate", "evaluate", RESNET, LAST, 0.40),
    _headline("ResNet-20 train, batch 32", "train", _resnet(depth=20, batch=32), LAST, 0.45),
    Case(
        "ResNet-32 train, PSGD / SGD", "train", _resnet(optimizer="psgd"), {"optimizer": "sgd"}, 1.03, "ours"
    ),
    _headline("convnet 8×8 train", "train", DEMO, FIRST, 0.23),
    Case("convnet 28×28 (8, 16) train", "train", SMALL, FIRST, 0.25),
    _headline("convnet 28×28 (8, 16, 32) train", "train", {**SMALL, "widths": (8, 16, 32)}, FIRST, 0.25),
    Case("MLP 64-50-20-10 train", "train", DEMO_MLP, FIRST, 0.40),
    _headline("MLP 784-256-128-10 train", "train", MLP, FIRST, 0.45),
    _headline("fit, an epoch of the digits", "fit", DEMO, FIRST, 0.30),
    _headline("PSGD step 467k, torch SGD", "optimizer", FEW, {"method": "sgd"}, 0.16),
    _headline(
        "PSGD step 467k, learned and capped, torch SGD", "optimizer", FEW | LEARNED, {"method": "sgd"}, 0.16
    ),
    Case("PSGD step 467k, torch eager PSGD", "optimizer", FEW, {"method": "psgd"}),
    Case("PSGD step 25M, torch SGD", "optimizer", MANY, {"method": "sgd"}, 1.05),
    Case("PSGD step 25M, torch eager PSGD", "optimizer", MANY, {"method": "psgd"}),
    *(_layer(c, s, p) for c, s in ((16, 32), (32, 16), (64, 8)) for p in ("forward", "backward")),
    *(Case(f"growth: batch {n}", "train", _resnet(depth=20, batch=n), LAST) for n in (32, 64, 128)),
    *(Case(f"growth: width {w}", "train", _resnet(depth=20, batch=64, width=w), LAST) for w in (8, 32)),
    *(Case(f"growth: depth {d}", "train", _resnet(batch=64, depth=d), LAST) for d in (8, 44)),
    _cold("ResNet-32 step", 0.40, "-c", FIRST_STEP),
    _cold("demo", 0.60, "-m", "psgd_ref", "demo", "--out", "FOLDER/demo"),
    *map(_aware, ("LSQ", "LSQ+", "DSQ", "EWGS", "Bayesian Bits", "LSQ + dampening")),
]
