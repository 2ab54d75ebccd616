"""Sweeps: many runs from one plan, on processes or a cluster, into one store."""
