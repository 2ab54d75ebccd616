"""PSGD for PyTorch against the library's own optimiser and the ledger (the extra `torch`)."""

import copy
import io
import re
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from psgd_ref.compress import FixedTargets, MinMaxGrid, MSEGrid, quantize_tensor  # noqa: E402
from psgd_ref.core import UniformGrid, Zero  # noqa: E402
from psgd_ref.interop import state_dict  # noqa: E402
from psgd_ref.interop.torch import PSGD  # noqa: E402
from psgd_ref.laws import check, check_resume  # noqa: E402
from psgd_ref.nn import BatchNorm, Conv2d, Flatten, Linear, Model, ReLU, Sequential  # noqa: E402
from psgd_ref.training import PSGD as OURS  # noqa: E402

PAGE = Path(__file__).parents[2] / "notebooks/pytorch.md"


def model(dtype):
    layers = Sequential(
        {
            "conv1": Conv2d(3, 8, 3, bias=False),
            "bn1": BatchNorm(8),
            "relu1": ReLU(),
            "conv2": Conv2d(8, 17, 3, bias=False),
            "flatten": Flatten(),
            "fc1": Linear(34, 40),
            "fc2": Linear(40, 5),
        }
    )
    return Model(layers, dtype=dtype)


def compared(model):
    """The parameters that both treat alike: ours scales the biases of linear layers too."""
    return [segment.name for segment in model.segments if segment.role != "bias"]


def run(dtype, ours, options, steps=5, chain=False):
    """The weights after some steps of both from the same weights along the same gradients, by name."""
    rng, net = np.random.default_rng(3), model(dtype)
    given = state_dict(net)
    parameters = {name: torch.nn.Parameter(torch.from_numpy(given[name].copy())) for name in compared(net)}
    optimizer = PSGD(parameters.values(), **options)
    state = ours.init(net)
    for _ in range(steps):
        net.g[...] = rng.normal(size=net.g.size) * 0.1
        copy_of = model(dtype)
        copy_of.w[...] = net.g
        for name, gradient in state_dict(copy_of).items():
            if name in parameters:
                parameters[name].grad = torch.from_numpy(gradient)
        if chain:
            ours.apply_chain(net, state)
            state["step"] += 1
        else:
            ours.update(net, state)
        optimizer.step()
    expected = state_dict(net)
    return {name: (parameters[name].detach().numpy(), expected[name]) for name in parameters}


MIN_MAX = {
    "plain": {},
    "eps": {"eps": 0.01},
    "number": {"strength": 3.0},
    "cap": {"cap": True},
    "grid decay": {"decay_target": "grid", "weight_decay": 0.05},
    "no momentum, no decay": {"momentum": 0.0, "weight_decay": 0.0},
}
BOTH = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def largest_difference(pairs, dtype):
    """In units of the last place of 1: weights here are at most about that."""
    return max(np.abs(theirs - ours).max() for theirs, ours in pairs.values()) / np.finfo(dtype).eps


@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("name", MIN_MAX)
def test_it_is_our_chain_bit_for_bit_and_the_fused_step_to_rounding(name, per_channel, foreach):
    options = {**BOTH, **MIN_MAX[name]}
    ours = OURS(grid=MinMaxGrid(4, per_channel), **options)
    assert ours.fused is not None
    own = {**options, "bits": 4, "per_channel": per_channel, "foreach": foreach}
    for theirs, expected in run(np.float32, ours, own, chain=True).values():
        np.testing.assert_array_equal(theirs, expected)
    assert largest_difference(run(np.float32, ours, own), np.float32) < 500
    assert largest_difference(run(np.float64, ours, own, chain=True), np.float64) < 50


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("decay_target", ["zero", "grid"])
def test_the_learned_and_the_fitted_grid_are_ours(decay_target, per_channel):
    options = {**BOTH, "cap": True, "decay_target": decay_target}
    for dtype, allowed in ((np.float32, 1000), (np.float64, 2000)):
        for grid, rule, refresh in (("learned", MinMaxGrid, "learned"), ("mse", MSEGrid, 1000)):
            ours = OURS(grid=rule(4, per_channel), refresh=refresh, **options)
            own = {**options, "bits": 4, "grid": grid, "per_channel": per_channel}
            pairs = run(dtype, ours, own, chain=True)
            assert largest_difference(pairs, dtype) < (allowed if grid == "learned" else 200)
            one_by_one = run(dtype, ours, {**own, "foreach": True}, chain=True)
            for key, (theirs, _) in pairs.items():
                np.testing.assert_array_equal(theirs, one_by_one[key][0])


def test_pruning_is_ours():
    options = {**BOTH, "strength": 2.0, "eps": 0.01}
    pairs = run(np.float32, OURS(grid=Zero(), **options), {**options, "bits": 0, "cap": True}, chain=True)
    for theirs, expected in pairs.values():
        np.testing.assert_array_equal(theirs, expected)


def adapter(w, g, lr, targets, eps, strength, cap, weight_decay, decay_target):
    """One step from fixed targets. Bits say how many levels there are; others only where none is needed."""
    if isinstance(targets, Zero):
        bits = 0
    elif not isinstance(targets, UniformGrid):
        raise NotImplementedError("targets that are unevenly spaced")
    elif targets.levels in [2 ** (b - 1) - 1 for b in range(2, 17)]:
        bits = targets.levels.bit_length() + 1
    else:
        bits, reach = 16, min(targets.levels or 2**15, 2**15) - 1
        if (np.abs(w) > (reach - 1) * targets.step).any():
            raise NotImplementedError("levels that are not those of a number of bits")
    parameter = torch.nn.Parameter(torch.tensor(w).reshape(1, -1))
    parameter.grad = torch.tensor(g).reshape(1, -1)
    numbers = {"eps": eps, "strength": strength, "weight_decay": weight_decay, "momentum": 0.0}
    options = {"grid": "mse", "cap": cap, "decay_target": decay_target}
    optimizer = PSGD([parameter], lr, bits=bits, **numbers, **options)
    if bits:
        state = optimizer.state_dict()
        state["state"][0] = {"grid_step": torch.tensor([targets.step], dtype=torch.float64)}
        optimizer.load_state_dict(state)
    optimizer.step()
    return parameter.detach().numpy().reshape(w.shape)


def test_the_ledger():
    report = check(adapter, examples=5)
    assert report.ok, str(report)
    assert report.checked >= 15


def test_a_resumed_run_is_the_run():
    class Run:
        def __init__(self):
            self.parameter = torch.nn.Parameter(torch.zeros(2, 2, dtype=torch.float64))
            self.optimizer = PSGD([self.parameter], lr=0.1, bits=3, grid="learned", per_channel=True)

        def step(self, w, g):
            self.parameter.data = torch.from_numpy(w).reshape(2, 2)
            self.parameter.grad = torch.from_numpy(g).reshape(2, 2)
            self.optimizer.step()
            return self.parameter.detach().numpy().ravel()

        def state_dict(self):
            file = io.BytesIO()
            torch.save(self.optimizer.state_dict(), file)
            return file.getvalue()

        def load_state_dict(self, state):
            self.optimizer.load_state_dict(torch.load(io.BytesIO(state)))

    check_resume(Run, examples=10)


def test_a_parameter_without_axes_is_resumed_too():
    parameters = [torch.nn.Parameter(torch.ones(3, 2)), torch.nn.Parameter(torch.tensor(1.0))]
    optimizer = PSGD(parameters, lr=0.1, bits=4, per_channel=True, momentum=0.9)
    for p in parameters:
        p.grad = torch.ones_like(p)
    optimizer.step()
    other = PSGD(parameters, lr=0.1, bits=4, per_channel=True)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    torch.testing.assert_close(other.state_dict(), optimizer.state_dict())


def linear(**options):
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 4)
    return layer, PSGD(layer.parameters(), **{"lr": 0.1, "bits": 4, **options})


def test_vectors_and_groups_without_bits_are_plain_sgd():
    (layer, optimizer), (other, _) = linear(), linear()
    plain = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    both = torch.nn.ParameterList([torch.ones(2, 2)])
    optimizer.add_param_group({"params": both, "bits": None})
    plain.add_param_group({"params": (copied := copy.deepcopy(both))})
    for step in range(3):
        for net, rows in ((layer, both), (other, copied)):
            net.zero_grad()
            (net(torch.ones(2, 6)).sum() + step * (rows[0] ** 2).sum()).backward()
        # The weights themselves differ; the gradients of the bias and the group do not depend on them.
        optimizer.step()
        plain.step()
    torch.testing.assert_close(layer.bias, other.bias)
    torch.testing.assert_close(both[0], copied[0])
    assert not torch.equal(layer.weight, other.weight)
    assert optimizer.targets(layer.bias) == optimizer.targets(both[0]) == []


def test_targets_are_those_that_rounding_uses_and_weights_come_back():
    for options in ({}, {"per_channel": True}, {"grid": "learned"}, {"grid": "mse", "per_channel": True}):
        layer, optimizer = linear(**options)
        before, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
        targets = optimizer.targets(layer.weight)
        rows = before.numpy() if len(targets) > 1 else before.numpy().reshape(1, -1)
        assert len(targets) == len(rows)
        codes = [quantize_tensor(row, FixedTargets(grid)) for row, grid in zip(rows, targets, strict=True)]
        with optimizer.displaced(at=1):
            np.testing.assert_allclose(
                layer.weight.detach().numpy().reshape(rows.shape), [c.values for c in codes], rtol=1e-6
            )
            assert torch.equal(layer.bias, bias)
        assert torch.equal(layer.weight, before)
    with pytest.raises(RuntimeError), optimizer.displaced(at=0.5):
        layer(torch.ones(7, 7))
    assert torch.equal(layer.weight, before)
    with pytest.raises(ValueError, match="no group"):
        optimizer.targets(torch.zeros(2, 2))


def test_a_closure_is_called_where_the_gradient_is_to_be_taken():
    layer, optimizer = linear(gradient_at=0.5)
    w = layer.weight.detach().clone()
    (grid,) = optimizer.targets(layer.weight)
    seen = []

    def closure():
        seen.append(layer.weight.detach().clone())
        optimizer.zero_grad()
        loss = layer(torch.ones(1, 6)).sum()
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    half = w + 0.5 * (torch.from_numpy(grid.nearest(w.numpy())) - w)
    torch.testing.assert_close(seen[0], half)
    assert loss.requires_grad
    assert not torch.equal(layer.weight, w)


def test_gradients_are_left_as_they_are_and_what_has_none_stays():
    for foreach in (False, True):
        layer, optimizer = linear(momentum=0.0, weight_decay=0.0, foreach=foreach)
        layer.weight.grad, before = torch.ones(4, 6), layer.bias.detach().clone()
        optimizer.step()
        assert torch.equal(layer.weight.grad, torch.ones(4, 6))
        assert torch.equal(layer.bias, before)


def test_the_examples_of_the_page_run(capsys):
    text = PAGE.read_text(encoding="utf-8")
    ((example,), (integers,), (groups,)) = (
        re.findall(rf"```python{kind}\n(.*?)```", text, re.DOTALL) for kind in ("", " integers", " groups")
    )
    assert len([line for line in example.splitlines() if line.strip()]) == 15
    names = {}
    torch.manual_seed(0)
    exec(compile(example, "pytorch.md", "exec"), names)
    accuracy = float(re.search(r"tensor\((0\.\d+)", capsys.readouterr().out)[1])
    assert accuracy > 0.9
    exec(compile(integers, "pytorch.md", "exec"), names)
    codes = names["rounded"].quantized["fc2.weight"].codes
    by_name = quantize_tensor(names["net"][2].weight.detach().numpy(), MinMaxGrid(4)).codes
    np.testing.assert_array_equal(codes, by_name.T)
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    position = torch.nn.Parameter(torch.zeros(1, 3, 2))
    made = eval(compile(groups.strip(), "pytorch.md", "eval"), {**names, "net": net, "position": position})
    assert [group["bits"] for group in made.param_groups] == [8, 3, None]
