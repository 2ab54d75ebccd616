"""safetensors between frameworks and layouts: (KH, KW, I, O) and (I, O), and (O, I, KH, KW) and (O, I).

The writer turns our layout into PyTorch's, as a view with other strides or as a copy; what looks like a
view in JAX and MLX is all that there is.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.experiments.peers.families import shared


def handed_over(folder: str, writer: str, reader: str, copied: bool = False) -> dict[str, Any]:
    """Our weights, brought to PyTorch's layout by the writer, a view or copied, through a file."""
    given, parts = shared.read(folder), {}
    for name in given.layers:
        w = given.weight(name)
        ours = np.ascontiguousarray(w.transpose(2, 3, 1, 0) if w.ndim == 4 else w.T)
        parts[name] = (ours, (3, 2, 0, 1) if w.ndim == 4 else (1, 0))
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "network.safetensors")
        _WRITERS[writer](parts, copied, path)
        found = {f"weight/{name}": np.array(part) for name, part in _READERS[reader](path).items()}
        size = path.stat().st_size
    return shared.read_back(given, found, size)


def _write_numpy(parts: dict[str, Any], copied: bool, path: Path) -> None:
    from safetensors.numpy import save_file

    turned = {name: part.transpose(axes) for name, (part, axes) in parts.items()}
    save_file({name: part.copy(order="C") if copied else part for name, part in turned.items()}, path)


def _write_torch(parts: dict[str, Any], copied: bool, path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    turned = {name: torch.tensor(part).permute(axes) for name, (part, axes) in parts.items()}
    save_file({name: part.contiguous() if copied else part for name, part in turned.items()}, path)


def _write_jax(parts: dict[str, Any], copied: bool, path: Path) -> None:
    import jax.numpy as jnp
    from safetensors.flax import save_file

    save_file({name: jnp.transpose(jnp.asarray(part), axes) for name, (part, axes) in parts.items()}, path)


def _write_mlx(parts: dict[str, Any], copied: bool, path: Path) -> None:
    import mlx.core as mx

    turned = {name: mx.transpose(mx.array(part), axes) for name, (part, axes) in parts.items()}
    mx.save_safetensors(str(path), turned)


def _read_numpy(path: Path) -> Any:
    from safetensors.numpy import load_file

    return load_file(path)


def _read_torch(path: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(path)


def _read_jax(path: Path) -> Any:
    from safetensors.flax import load_file

    return load_file(path)


def _read_mlx(path: Path) -> Any:
    import mlx.core as mx

    return mx.load(str(path))


_WRITERS = {"NumPy": _write_numpy, "PyTorch": _write_torch, "JAX": _write_jax, "MLX": _write_mlx}
_READERS = {"NumPy": _read_numpy, "PyTorch": _read_torch, "JAX": _read_jax, "MLX": _read_mlx}

MEETINGS = {
    f"safetensors, {writer} {'copy' if copied else 'view'} → {reader}": (
        handed_over,
        {"writer": writer, "reader": reader, "copied": copied},
        # What is refused is refused for every shape.
        shared.PERCEPTRON if writer == "PyTorch" and not copied else shared.BOTH,
    )
    for writer, reader, copied in (
        ("NumPy", "PyTorch", True),
        ("NumPy", "JAX", True),
        ("NumPy", "MLX", True),
        ("PyTorch", "NumPy", True),
        ("NumPy", "PyTorch", False),
        ("PyTorch", "NumPy", False),
        ("JAX", "NumPy", False),
        ("MLX", "NumPy", False),
    )
}
