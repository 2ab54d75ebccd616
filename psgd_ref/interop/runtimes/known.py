"""The runtimes that are known, each at its settings, and which of them are installed."""

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

from psgd_ref.interop.runtimes import adapters


@dataclass(frozen=True)
class Setting:
    """A runtime, set in one way.

    Parameters
    ----------
    runtime
        Its name.
    adapter
        The module with its `open`.
    packages
        What has to be installed, by the names of the package index.
    switch
        What is set, in the runtime's words; empty for its defaults.
    options
        Of the adapter's `open`, for that.
    hint
        What to do where the runtime is wrong and no switch mends it.
    """

    runtime: str
    adapter: str
    packages: tuple[str, ...]
    switch: str = ""
    options: dict[str, str | bool] = field(default_factory=dict)
    hint: str = ""

    @property
    def name(self) -> str:
        """The runtime and what is set."""
        return named(self.runtime, self.switch)

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [package for package, found in self._versions().items() if found is None]

    @property
    def versions(self) -> str:
        """The versions of its packages."""
        return " + ".join(found or "?" for found in self._versions().values())

    def _versions(self) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for package in self.packages:
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                found[package] = None
        return found


def named(runtime: str, switch: str) -> str:
    """A runtime and what is set."""
    return f"{runtime}, {switch}" if switch else runtime


def _setting(
    runtime: str,
    adapter: str,
    packages: tuple[str, ...],
    switch: str = "",
    hint: str = "",
    **options: str | bool,
) -> Setting:
    return Setting(runtime, f"{adapters.__name__}.{adapter}", packages, switch, options, hint)


def _onnxruntime(switch: str = "", **options: str) -> Setting:
    return _setting("onnxruntime", "onnxruntime", ("onnxruntime",), switch, "", **options)


SETTINGS = (
    _setting("onnx reference", "reference", ("onnx",)),
    _onnxruntime(),
    _onnxruntime("session.disable_quant_qdq=1", disable_quant_qdq="1"),
    _onnxruntime("session.x64quantprecision=1", x64quantprecision="1"),
    _onnxruntime("ORT_ENABLE_BASIC", level="ORT_ENABLE_BASIC"),
    _onnxruntime("ORT_DISABLE_ALL", level="ORT_DISABLE_ALL"),
    _setting("openvino", "openvino", ("openvino",)),
    _setting(
        "openvino",
        "openvino",
        ("openvino",),
        "EXECUTION_MODE_HINT=ACCURACY",
        EXECUTION_MODE_HINT="ACCURACY",
    ),
    _setting("tract", "tract", ("tract",)),
    _setting("ncnn", "ncnn", ("ncnn", "pnnx")),
    _setting("ncnn", "ncnn", ("ncnn", "pnnx"), "pnnx fp16=0, opt.use_fp16_storage=False", half=False),
    _setting(
        "MNN",
        "mnn",
        ("MNN",),
        hint="it reads INT8 alone, with a scale for each channel before Conv and one number before Gemm",
    ),
    _setting(
        "LiteRT", "litert", ("ai-edge-litert",), hint="try onnx2tf 2.4 or later, which needs Python 3.12"
    ),
    _setting("IREE", "iree", ("iree-base-compiler", "iree-base-runtime")),
    _setting("tinygrad", "tinygrad", ("tinygrad",)),
    _setting("TVM", "tvm", ("apache-tvm",)),
)
