"""Integers out: a quantized network as ONNX, packed, or as a C header, and the emulation of each."""
