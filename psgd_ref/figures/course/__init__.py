"""Pictures of the notebooks that teach: warps, basins, densities, weights."""
