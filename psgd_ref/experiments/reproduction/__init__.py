"""What the figures of the paper show, run again: one module a figure, and the runs that they share."""
