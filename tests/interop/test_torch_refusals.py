"""What PSGD for PyTorch refuses, and that nothing has changed by then (the extra `torch`)."""

import copy

import pytest

torch = pytest.importorskip("torch")

from tests.interop.test_torch import linear  # noqa: E402


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bits": 1}, "bits must be 2..16, 0 for the target zero, or None"),
        ({"bits": True}, "bits must be"),
        ({"bits": 4.0}, "bits must be"),
        ({"bits": None}, "it scales nothing"),
        ({"bits": 0}, "needs at least two targets"),
        ({"lr": -1.0}, "lr must be a finite number >= 0"),
        ({"lr": float("nan")}, "lr must be"),
        ({"momentum": 1.0}, "momentum must lie"),
        ({"weight_decay": -1e-4}, "weight_decay must be"),
        ({"eps": -1}, "eps must be"),
        ({"strength": "loud"}, "strength must be one of volume"),
        ({"strength": -1.0}, "strength must be"),
        ({"grid": "aciq"}, "grid must be one of min-max, mse, learned"),
        ({"decay_target": "one"}, "decay_target must be one of zero, grid"),
        ({"cap": "no"}, "cap must be True or False"),
        ({"per_channel": 1}, "per_channel must be"),
        ({"foreach": "yes"}, "foreach must be"),
        ({"gradient_at": 2}, r"gradient_at must lie in \[0, 1\]"),
    ],
)
def test_bad_options_are_refused_in_words(options, words):
    with pytest.raises(ValueError, match=words):
        linear(**options)
    if "bits" not in options or options["bits"] is not None:
        _, optimizer = linear()
        with pytest.raises(ValueError, match=words):
            optimizer.add_param_group({"params": torch.nn.Parameter(torch.zeros(2, 2)), **options})
        assert len(optimizer.param_groups) == 1


def test_other_dtypes_sparse_gradients_and_weights_that_are_not_finite_are_refused_before_anything_moves():
    layer, optimizer = linear()
    with pytest.raises(ValueError, match=r"float32 or float64; got torch\.float16"):
        optimizer.add_param_group({"params": torch.nn.Parameter(torch.zeros(2, 2, dtype=torch.float16))})
    assert len(optimizer.param_groups) == 1
    bad = torch.nn.Parameter(torch.tensor([[1.0, float("nan")]]))
    optimizer.add_param_group({"params": bad})
    layer.weight.grad, bad.grad = torch.ones(4, 6), torch.ones(1, 2)
    before = layer.weight.detach().clone()
    with pytest.raises(ValueError, match=r"weights must be finite; those of shape \(1, 2\)"):
        optimizer.step()
    bad.data, bad.grad = torch.ones(1, 2), torch.ones(1, 2).to_sparse()
    with pytest.raises(ValueError, match="dense gradients; got a sparse one"):
        optimizer.step()
    assert torch.equal(layer.weight, before)


def test_a_state_that_does_not_fit_is_refused_and_nothing_is_loaded():
    layer, optimizer = linear(grid="learned")
    layer.weight.grad, layer.bias.grad = torch.ones(4, 6), torch.ones(4)
    optimizer.step()
    good = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match="no state of PSGD: a group lacks bits"):
        optimizer.load_state_dict(torch.optim.SGD(layer.parameters(), lr=0.1).state_dict())
    for index, name, value in ((0, "momentum_buffer", torch.ones(1)), (0, "grid_step", torch.ones(4))):
        bad = copy.deepcopy(good)
        bad["state"][index][name] = value
        with pytest.raises(ValueError, match=f"{name} of parameter 0 does not fit"):
            optimizer.load_state_dict(bad)
    bad = copy.deepcopy(good)
    bad["param_groups"][0]["eps"] = -1.0
    with pytest.raises(ValueError, match="eps must be"):
        optimizer.load_state_dict(bad)
    assert optimizer.param_groups[0]["eps"] == 0
    torch.testing.assert_close(optimizer.state_dict()["state"], good["state"])
