"""What surrounds the step in training: averages, decay to the grid, noise, and batch norm."""
