"""The digits: the recipe that every comparison trains by, the demonstration, and its search."""
