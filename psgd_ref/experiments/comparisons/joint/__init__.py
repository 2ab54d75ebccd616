"""The task "joint": pruning and quantization together."""
