"""A picture for each comparison of methods, and the demonstration's."""
