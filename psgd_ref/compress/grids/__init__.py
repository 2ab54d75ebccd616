"""Rules that fit a grid of targets to a tensor of weights."""
