"""Networks of PyTorch against the models read from them: pairs of layers, small networks, refusals."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from psgd_ref.interop import from_torch, load_model, load_state_dict, save, state_dict  # noqa: E402

# PyTorch warns that it copies for even windows.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
SHAPE = (6, 5, 4)  # H, W, C
LAYERS = {
    "conv": lambda: nn.Conv2d(4, 4, 3, padding=1),
    "depthwise": lambda: nn.Conv2d(4, 4, 3, padding="same", groups=4),
    "even": lambda: nn.Conv2d(4, 4, (2, 4), padding="same", groups=2, bias=False),
    "norm": lambda: nn.BatchNorm2d(4, eps=1e-3, momentum=0.2),
    "layer norm": lambda: nn.LayerNorm((4, 6, 5)),
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky": lambda: nn.LeakyReLU(0.2),
    "gelu": nn.GELU,
    "gelu tanh": lambda: nn.GELU("tanh"),
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "dropout": nn.Dropout,
    "identity": nn.Identity,
    "max pool": lambda: nn.MaxPool2d(3, 1, 1),
    "avg pool": lambda: nn.AvgPool2d(3, 1, 1),
}
HEADS = {
    "flatten": lambda: [nn.Flatten(), nn.Linear(120, 3)],
    "flatten norm": lambda: [nn.Flatten(), nn.BatchNorm1d(120), nn.ReLU(), nn.Linear(120, 3, bias=False)],
    "flatten layer norm": lambda: [nn.Flatten(), nn.LayerNorm(120), nn.Dropout(), nn.Linear(120, 3)],
    "mean": lambda: [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)],
}


def randomised(net):
    """Weights and statistics away from their first values."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if tensor.is_floating_point():
                spread = torch.rand(tensor.shape, generator=generator)
                tensor.copy_(0.5 + spread if name.endswith("var") else spread - 0.4)
    return net


def logits(net, images):
    with torch.no_grad():
        return net.eval()(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()


def assert_same(net, shape=SHAPE, strict=True):
    model = from_torch(randomised(net), shape)
    images = np.random.default_rng(1).normal(size=(4, *shape)).astype(np.float32)
    np.testing.assert_allclose(model.forward(images), logits(net, images), rtol=1e-3, atol=1e-4)
    if not strict:
        return model
    # Other weights, written and read back.
    rng = np.random.default_rng(2)
    model.w += rng.normal(size=model.w.size).astype(np.float32) / 10
    net.load_state_dict({name: torch.from_numpy(t) for name, t in state_dict(model).items()}, strict=True)
    np.testing.assert_allclose(model.forward(images), logits(net, images), rtol=1e-3, atol=1e-4)
    w = model.w.copy()
    model.w[...] = 0
    load_state_dict(model, net.state_dict())
    assert np.array_equal(model.w, w)
    return model


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("first", LAYERS)
def test_every_pairing_of_layers_gives_the_logits_of_pytorch(first, head):
    for second, make in LAYERS.items():
        net = nn.Sequential(LAYERS[first](), make(), *HEADS[head]())
        model = from_torch(randomised(net), SHAPE)
        images = np.random.default_rng(1).normal(size=(2, *SHAPE)).astype(np.float32)
        np.testing.assert_allclose(
            model.forward(images), logits(net, images), rtol=1e-3, atol=1e-3, err_msg=second
        )


@pytest.mark.parametrize(("layer", "head"), [*itertools.product(("conv", "norm", "layer norm"), HEADS)])
def test_a_state_dict_goes_there_and_back(layer, head):
    assert_same(nn.Sequential(LAYERS[layer](), nn.ReLU(), *HEADS[head]()))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride > 1:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x):
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        out += self.shortcut(x)
        return F.relu(out)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 4, 3, 1, 1), nn.BatchNorm2d(4)
        self.stage = nn.Sequential(Block(4, 4, 1), Block(4, 8, 2))
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        out = self.stage(F.relu(self.norm(self.stem(x))))
        out = F.avg_pool2d(out, 4)
        return self.fc(out.view(out.size(0), -1))


def separable(inputs, outputs):
    depthwise = nn.Conv2d(inputs, inputs, 3, 1, 1, groups=inputs, bias=False)
    point = nn.Conv2d(inputs, outputs, 1, bias=False)
    return [depthwise, nn.BatchNorm2d(inputs), nn.ReLU6(), point, nn.BatchNorm2d(outputs), nn.ReLU6()]


class ChannelsLast(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 6, 3), nn.LayerNorm(6), nn.Linear(6, 3)

    def forward(self, x):
        x = self.norm(self.conv(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.fc(F.gelu(x).mean((2, 3)))


NETWORKS = {
    "plain": lambda: nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3))
    ),
    "mobile": lambda: nn.Sequential(
        *(*separable(3, 6), *separable(6, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    ),
    "layer norm": ChannelsLast,
    "resnet": ResNet,
    "perceptron": lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.Tanh(), nn.Linear(8, 3)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_small_networks(name, tmp_path):
    model = assert_same(NETWORKS[name](), (8, 8, 3))
    save(model, tmp_path / "model.safetensors")
    images = np.random.default_rng(3).normal(size=(2, 8, 8, 3)).astype(np.float32)
    assert np.array_equal(load_model(tmp_path / "model.safetensors").forward(images), model.forward(images))


class Multiplies(nn.Module):
    def forward(self, x):
        return (x * torch.sigmoid(x)).flatten(1)


class Branches(nn.Module):
    def forward(self, x):
        return x.flatten(1) if x.sum() > 0 else -x.flatten(1)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            lambda: nn.Sequential(nn.ConvTranspose2d(4, 4, 3), nn.Flatten()),
            "0 is a ConvTranspose2d",
        ),
        (
            lambda: nn.Sequential(nn.Conv2d(4, 4, 3, dilation=2), nn.Flatten()),
            "0 is a Conv2d with dil",
        ),
        (
            lambda: nn.Sequential(nn.BatchNorm2d(4, affine=False), nn.Flatten()),
            "a BatchNorm2d with affine",
        ),
        (lambda: nn.Sequential(nn.Flatten(), nn.LogSoftmax(1)), "1 is a LogSoftmax"),
        (Multiplies, "mul is mul"),
        (Branches, "cannot be traced"),
        (lambda: nn.Conv2d(4, 4, 3), r"must return logits \(N, K\)"),
        (lambda: nn.Conv2d(3, 4, 3), "does not take images of shape"),
        (lambda: "net", "module must be a torch.nn.Module; got str"),
    ],
)
def test_what_cannot_be_read_is_named(net, message):
    with pytest.raises(ValueError, match=message):
        from_torch(net(), SHAPE)


def test_tensors_are_taken_as_they_are_in_any_floating_dtype():
    net = randomised(nn.Sequential(nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(48, 3)))
    model = from_torch(net, SHAPE)
    before = model.w.copy()
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        tensors = {name: tensor.to(dtype) for name, tensor in net.state_dict().items()}
        load_state_dict(model, tensors)
        np.testing.assert_allclose(model.w, before, rtol=1e-2)
    model.w[...] = before
    for bad, message in (
        ({"0.bias": torch.full((4,), torch.nan)}, "0.bias: holds NaN"),
        ({"0.bias": torch.ones(4, dtype=torch.int64)}, "0.bias: dtype int64"),
        ({"0.bias": torch.ones(4, device="meta")}, "0.bias: a tensor that cannot be read"),
        ({"0.bias": "words"}, "0.bias: a str given"),
    ):
        with pytest.raises(ValueError, match=message):
            load_state_dict(model, net.state_dict() | bad)
    with pytest.raises(ValueError, match=r"got Sequential: give its state_dict\(\)"):
        load_state_dict(model, net)
    assert np.array_equal(model.w, before)
