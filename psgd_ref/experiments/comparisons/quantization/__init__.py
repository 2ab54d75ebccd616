"""The task "quantization": post-training quantization of models trained in several ways."""
