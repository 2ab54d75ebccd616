"""Pictures, one file a figure: drawing only, from arrays that the rest of the package computes."""
