"""Optimisers as chains of transformations of the gradient, and the fused step of PSGD."""
