"""The tables `cifar16` and `resnet20`: methods that go on from the same weights on CIFAR-10, at two sizes."""
