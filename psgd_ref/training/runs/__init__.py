"""Runs of `psgd-ref train`: configuration, checkpoints, metrics, and what was saved, opened again."""
