"""PyTorch's side of the benchmark: the same cases, in PyTorch's own fastest form (fused SGD)."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from psgd_ref.data import load_digits
from psgd_ref.experiments.benchmark.worker import Step, serve


def build(case: dict[str, Any]) -> tuple[Step, float]:
    """A call that does the work of the case once; its amount is counted on the other side."""
    torch.manual_seed(0)
    make = {"optimizer": _optimizer, "layer": _layer, "fit": _epoch}
    return make.get(case["work"], _network)(case), 0.0


class Block(nn.Module):
    """The basic block of the CIFAR ResNet."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv_norm(inputs, outputs, 3, stride),
            nn.ReLU(inplace=True),
            *_conv_norm(outputs, outputs, 3, 1),
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Sequential(*_conv_norm(inputs, outputs, 1, stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.body(x) + self.shortcut(x), inplace=True)


def _conv_norm(inputs: int, outputs: int, size: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs)]


def _model(case: dict[str, Any]) -> nn.Module:
    if case["model"] == "mlp":
        pairs = list(zip(case["widths"], case["widths"][1:], strict=False))
        layers = [layer for i, o in pairs for layer in (nn.Linear(i, o), nn.ReLU(inplace=True))]
        return nn.Sequential(*layers[:-1])
    inputs = case["image"][-1]
    layers = []
    if case["model"] == "convnet":
        for i, width in enumerate(case["widths"]):
            layers += [nn.MaxPool2d(2)] if i == len(case["widths"]) - 1 else []
            layers += [*_conv_norm(inputs, width, 3, 1), nn.ReLU(inplace=True)]
            inputs = width
    else:
        width, inputs_of_stage = case["width"], case["width"]
        layers += [*_conv_norm(inputs, width, 3, 1), nn.ReLU(inplace=True)]
        for stage, outputs in enumerate((width, 2 * width, 4 * width)):
            for block in range((case["depth"] - 2) // 6):
                layers.append(Block(inputs_of_stage, outputs, 2 if stage and not block else 1))
                inputs_of_stage = outputs
        inputs = inputs_of_stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


def _network(case: dict[str, Any]) -> Step:
    model = _model(case)
    image = case["image"]
    shape = (case["batch"], image[2], image[0], image[1]) if len(image) == 3 else (case["batch"], *image)
    x, labels = torch.randn(shape), torch.randint(0, 10, (case["batch"],))
    if case["channels_last"]:
        model, x = (value.to(memory_format=torch.channels_last) for value in (model, x))
    if case.get("compiled"):
        model = torch.compile(model)
    optimizer = _sgd(model, 0.1)

    def evaluate() -> object:
        with torch.inference_mode():
            return model(x)

    def train() -> object:
        optimizer.zero_grad()
        functional.cross_entropy(model(x), labels).backward()
        return optimizer.step()

    if case["work"] == "evaluate":
        model.eval()
        return evaluate
    return train


def _sgd(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=1e-4, fused=True)


def _epoch(case: dict[str, Any]) -> Step:
    """An epoch as a training script writes it: shuffled batches, then the validation images."""
    data = load_digits()
    pixels, held = (
        torch.from_numpy(data.normalise(split.images)).permute(0, 3, 1, 2).contiguous()
        for split in (data.train, data.validation)
    )
    labels, held_labels = (torch.from_numpy(s.labels).long() for s in (data.train, data.validation))
    model = _model(case)
    optimizer = _sgd(model, 0.1)

    def epoch() -> object:
        model.train()
        for rows in torch.randperm(len(pixels)).split(case["batch"]):
            optimizer.zero_grad()
            functional.cross_entropy(model(pixels[rows]), labels[rows]).backward()
            optimizer.step()
        model.eval()
        with torch.inference_mode():
            logits = model(held)
            return functional.cross_entropy(logits, held_labels), (logits.argmax(1) == held_labels).sum()

    return epoch


def _optimizer(case: dict[str, Any]) -> Step:
    model = _model(case)
    parameters = list(model.parameters())
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    if case["method"] == "sgd":
        return _sgd(model, 1e-6).step
    velocities = [torch.zeros_like(parameter) for parameter in parameters]

    @torch.no_grad()
    def step() -> None:
        for w, v in zip(parameters, velocities, strict=True):
            delta = w.abs().max() / 7
            nearest = torch.round(w / delta).clamp(-7, 7) * delta
            scale = 8 / delta * (w - nearest).abs()
            v.mul_(0.9).add_(scale * w.grad + 1e-4 * w)
            w.sub_(1e-6 * v)

    return step


def _layer(case: dict[str, Any]) -> Step:
    channels, size = case["channels"], case["size"]
    x = torch.randn(case["batch"], channels, size, size).to(memory_format=torch.channels_last)
    w = torch.randn(channels, channels, 3, 3).to(memory_format=torch.channels_last)
    if case["passes"] == "forward":
        return lambda: functional.conv2d(x, w, None, 1, 1)
    dy = torch.randn_like(x)
    options = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1, [True, True, False])
    return lambda: torch.ops.aten.convolution_backward(dy, x, w, None, *options)


if __name__ == "__main__":
    serve(build)
