"""Pruning after training, before it, and by parametrizations that learn zeros."""
