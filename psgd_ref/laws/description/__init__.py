"""What a quantizer is, found by trying it: its scale, its levels, its ties, and which properties it has."""
