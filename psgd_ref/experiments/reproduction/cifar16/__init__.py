"""The table `cifar16`: CIFAR-10 at half its size, where rounding to 2 bits costs ten points."""
