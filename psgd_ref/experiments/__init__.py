"""Experiments: what is run, with which settings, and the tables that come out."""
