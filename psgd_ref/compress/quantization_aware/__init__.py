"""Training through quantizers: fake quantizers whose steps, widths or slopes are learned."""
