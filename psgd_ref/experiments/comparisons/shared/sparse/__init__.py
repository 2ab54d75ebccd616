"""Ways to sparse models, their search and their measurements: for pruning alone and with quantization."""
