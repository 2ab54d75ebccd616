"""The kinds of layers, one a file."""
