"""Strategies for weights of any shape, and for the grids that they are rounded to."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from psgd_ref.compress import MinMaxGrid, MSEGrid

weights = arrays(
    st.sampled_from([np.float32, np.float64]),
    array_shapes(min_dims=1, max_dims=4, max_side=5),
    elements=st.floats(-1e6, 1e6, width=32),
)
grids = st.builds(
    lambda rule, bits, per_channel: rule(bits, per_channel),
    st.sampled_from([MinMaxGrid, MSEGrid]),
    st.integers(2, 16),
    st.booleans(),
)
