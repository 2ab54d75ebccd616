"""How long the kernels take, beside PyTorch and older builds, and how time and memory grow."""
