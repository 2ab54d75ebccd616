"""Pruning: trained densely or sparsely, pruned at several sparsities."""
