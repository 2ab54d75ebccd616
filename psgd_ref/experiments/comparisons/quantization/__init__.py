"""Post-training quantization of models trained in several ways."""
