"""Quantization of a trained model without training it again."""
