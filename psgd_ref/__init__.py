"""Position-based scaled gradient descent: the mathematics, networks, and tested laws."""

__version__ = "0.1.0"
