"""The families of peers: which packages, at which versions, and where their adapters are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from psgd_ref.core.arguments import choice

NUMPY = "numpy==2.4.6"
ONNX = ("onnx==1.23.2", "onnxruntime==1.31.1", "onnx-ir==1.1.0", NUMPY)
# One environment for all families on PyTorch, which is a large download.
TORCH = (
    "torch==2.13.0",
    "torchao==0.18.0",
    "brevitas==0.13.4",
    "compressed-tensors==0.20.0",
    "hqq==0.2.8.post1",
    "bitsandbytes==0.50.2",
    "safetensors==0.8.0",
    "onnxscript==0.7.2",
    "onnxoptimizer==0.4.2",
    *ONNX,
)


@dataclass(frozen=True)
class Family:
    """Packages that are installed together.

    Parameters
    ----------
    name
        Of the family and of its module in `families`.
    requirements
        As pip takes them, every package that matters pinned.
    about
        The packages whose versions the table names.
    """

    name: str
    requirements: tuple[str, ...]
    about: tuple[str, ...]

    @property
    def module(self) -> str:
        """The full name of the module with its adapters."""
        return f"{__package__}.families.{self.name}"

    @property
    def quantizers(self) -> Mapping[str, tuple[Callable[..., Any], tuple[int, ...]]]:
        """By title, a quantizer and the bits at which it is described."""
        return getattr(import_module(self.module), "QUANTIZERS", {})

    @property
    def meetings(self) -> Mapping[str, Any]:
        """By title, what becomes of a network."""
        return getattr(import_module(self.module), "MEETINGS", {})

    @property
    def optimizers(self) -> Mapping[str, tuple[Callable[..., Any], dict[str, Any], str]]:
        """By title, an optimizer, its options and what it is compared with, see `optimizers`."""
        return getattr(import_module(self.module), "OPTIMIZERS", {})


FAMILIES = (
    Family("pytorch", TORCH, ("torch", "torchao")),
    Family("brevitas_onnx", TORCH, ("brevitas", "torch", "onnxruntime")),
    Family(
        "hugging_face",
        TORCH,
        ("compressed-tensors", "hqq", "bitsandbytes", "safetensors", "torch"),
    ),
    Family("onnx_runtime", ONNX, ("onnxruntime", "onnx")),
    Family(
        "qonnx_nodes",
        ("qonnx==1.0.0", "onnxscript==0.7.2", "onnxruntime==1.31.1", "onnx==1.20.1", "onnx-ir==1.1.0", NUMPY),
        ("qonnx", "onnxruntime", "onnx"),
    ),
    Family(
        "optimum_quanto",
        ("optimum-quanto==0.2.7", "torch==2.13.0", NUMPY),
        ("optimum-quanto", "torch"),
    ),
    Family("mnn_file", ("mnn==3.6.1", NUMPY), ("mnn",)),
    Family(
        "litert_file",
        ("ai-edge-quantizer==0.5.1", "ai-edge-litert==2.1.2", "onnx2tf==2.6.9", "numpy==2.2.6"),
        ("ai-edge-quantizer", "ai-edge-litert", "onnx2tf"),
    ),
    Family("gguf_file", ("gguf==0.19.0", NUMPY), ("gguf",)),
    Family("mlx_arrays", ("mlx[cpu]==0.32.4", NUMPY), ("mlx",)),
    Family(
        "safetensors_file",
        ("safetensors==0.8.0", "torch==2.13.0", "jax==0.10.2", "mlx[cpu]==0.32.4", NUMPY),
        ("safetensors", "torch", "jax", "mlx"),
    ),
    Family("nncf_openvino", ("nncf==3.4.0", "openvino==2026.4.1", "onnx==1.23.2"), ("nncf", "openvino")),
    Family(
        "jax_keras",
        ("jax==0.10.2", "qwix==0.1.8", "aqtp==0.9.0", "keras==3.15.1", "optax==0.2.8", NUMPY),
        ("jax", "qwix", "aqtp", "keras", "optax"),
    ),
    Family(
        "weight_scaled",
        ("torch==2.13.0", "pytorch_optimizer==4.1.0", "geoopt==0.5.1", NUMPY),
        ("pytorch_optimizer", "geoopt", "torch"),
    ),
    Family("jaxopt_mirror", ("jax==0.10.2", "jaxopt==0.8.5", NUMPY), ("jaxopt", "jax")),
)


def family(name: str) -> Family:
    """The family of that name; ValueError that lists them for another."""
    names = tuple(each.name for each in FAMILIES)
    return FAMILIES[names.index(choice("--only", name, names))]
