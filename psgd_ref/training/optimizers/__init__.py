"""Optimisers, one class a file: chains of transformations of the gradient (`links`), and the fused step."""
