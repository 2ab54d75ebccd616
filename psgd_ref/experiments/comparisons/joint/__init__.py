"""Pruning and quantization together."""
