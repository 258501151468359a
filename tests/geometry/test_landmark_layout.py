"""Five alignment points from 68 landmarks."""

import numpy as np

from geometry.landmark_layout import five_from_68


def test_five_from_68():
    landmarks = np.arange(68)[:, None] * [1.0, 10.0]
    np.testing.assert_array_equal(
        five_from_68(landmarks)[:, 0], [(36 + 39) / 2.0, (42 + 45) / 2.0, 30, 48, 54]
    )
    assert five_from_68(np.zeros((3, 68, 2))).shape == (3, 5, 2)
