"""The PNG encoder: Pillow decodes the same pixels."""

import io

import numpy as np
import pytest
from PIL import Image

from mesh_renderer.png import encode_png


@pytest.mark.parametrize("shape", [(1, 1, 3), (31, 17, 3), (2, 700, 3), (1, 1), (300, 5), (3, 259)])
@pytest.mark.parametrize("kind", ["noise", "plain", "spots", "steep"])
def test_pixels_survive_encoding(shape, kind):
    random = np.random.RandomState(0)
    values = {
        "noise": random.randint(0, 256, shape),
        "plain": np.full(shape, 7),
        "spots": 200 * (random.uniform(0, 1, shape) < 0.02),
        # Frequencies that halve repeatedly need longer codes than PNG allows.
        "steep": np.minimum(random.geometric(0.5, shape), 255),
    }[kind]
    picture = values.astype(np.uint8)
    with Image.open(io.BytesIO(encode_png(picture))) as image:
        assert image.mode == "RGB"
        expected = picture if picture.ndim == 3 else np.repeat(picture[..., np.newaxis], 3, axis=2)
        np.testing.assert_array_equal(np.asarray(image), expected)
