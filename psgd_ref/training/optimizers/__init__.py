"""Optimisers, one class a file: chains of transformations of the gradient (`links`), and PSGD's fused step."""
