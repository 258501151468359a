"""What numbers from files and networks may be."""

import numpy as np


def within(values, limit):
    """Tell whether all values are numbers between -limit and limit; NaN is none."""
    with np.errstate(invalid="ignore"):  # older numpy warns when it compares NaN
        return bool(np.all(np.abs(np.asarray(values, np.float64)) <= limit))
