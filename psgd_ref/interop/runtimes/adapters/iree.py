"""IREE, compiled by LLVM for this machine's CPU."""

from pathlib import Path

import iree.compiler
import iree.runtime

from psgd_ref.interop.runtimes.adapters.files import Run, convert

CONVERTED = ("*.vmfb",)


def open(path: Path) -> Run:
    """From images to logits."""
    imported, compiled = path.with_suffix(".mlir"), path.with_suffix(".vmfb")
    convert("iree-import-onnx", path.name, "-o", imported.name, folder=path.parent)
    iree.compiler.compile_file(
        str(imported),
        input_type="onnx",
        target_backends=["llvm-cpu"],
        extra_args=["--iree-llvmcpu-target-cpu=host"],
        output_file=str(compiled),
    )
    module = iree.runtime.load_vm_flatbuffer_file(str(compiled), driver="local-sync")
    (name,) = (name for name in module.vm_module.function_names if name[0] != "_" and "$" not in name)
    return lambda images: module[name](images).to_host()
