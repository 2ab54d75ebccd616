"""The table on CIFAR-10: its recipe, its rows and its text."""
