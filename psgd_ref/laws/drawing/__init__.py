"""What the laws draw: settings, losses, noise; and how much rounding they allow."""
