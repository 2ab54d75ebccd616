"""The task "training": methods that act during training, quantization-aware ones beside PSGD."""
