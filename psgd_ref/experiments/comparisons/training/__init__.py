"""Methods that act during training: quantization-aware training beside PSGD."""
