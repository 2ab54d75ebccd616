"""The task "pruning": networks trained densely or sparsely, pruned at several sparsities."""
