"""The grid that follows the weights."""

import pytest

from psgd_ref.core import UniformGrid
from psgd_ref.laws.drawing.following import max_range_grid


def test_max_range_grid():
    assert max_range_grid([0.3, -1.5], 3) == UniformGrid(0.5, 3)
    with pytest.raises(ValueError, match="w must hold a weight other than 0"):
        max_range_grid([0.0, 0.0], 3)
    with pytest.raises(ValueError, match="levels must be a whole number >= 1"):
        max_range_grid([1.0], 0)
