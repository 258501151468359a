"""The AFLW2000-3D protocol: error of a face, bins of yaw, and ground truth."""

import numpy as np
import pytest
import scipy.io

from evaluation.protocol import normalized_mean_error, read_ground_truth, yaw_bin
from utils.errors import InputError


@pytest.mark.parametrize(
    "yaw, wanted",
    [
        (0, 0),
        (30, 0),
        (-30, 0),
        (30.0000001, 1),
        (-45, 1),
        (60, 1),
        (-60, 1),
        (60.0000001, 2),
        (90, 2),
        (-120, 2),
    ],
)
def test_an_edge_belongs_to_the_bin_below_and_the_last_is_open(yaw, wanted):
    assert yaw_bin(yaw) == wanted


def test_a_shift_of_one_percent_of_the_box_is_an_error_of_one_percent():
    truth = np.random.RandomState(2).uniform((40, 30), (150, 170), (68, 2))
    size = np.sqrt(np.prod(np.ptp(truth, axis=0)))
    assert normalized_mean_error(truth + [0.006 * size, -0.008 * size], truth) == pytest.approx(
        1.0, abs=1e-12
    )


@pytest.mark.parametrize("field", ["pt3d_68", "Pose_Para"])
@pytest.mark.parametrize("change", [lambda values: values * 1j, lambda values: values.astype(str)])
def test_annotations_that_are_no_real_numbers_are_refused(tmp_path, field, change):
    path = str(tmp_path / "a.mat")
    fields = {"pt3d_68": np.ones((3, 68)), "Pose_Para": np.ones((1, 7))}
    scipy.io.savemat(path, dict(fields, **{field: change(fields[field])}))
    with pytest.raises(InputError, match="a.mat: not an AFLW2000-3D annotation"):
        read_ground_truth(path)
