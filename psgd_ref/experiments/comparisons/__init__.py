"""Comparisons of methods, a folder for each task; `tasks` lists them."""
