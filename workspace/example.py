"""The photo that stands in while input/ is empty."""

import importlib.util
import os

from workspace.errors import InputError
from workspace.photos import Photo


def example_photo():
    """Return NASA's portrait of the astronaut Eileen Collins, in the public domain, from scikit-image.

    Raises:
        InputError: scikit-image is not installed.
    """
    package = importlib.util.find_spec("skimage")
    path = package and os.path.join(os.path.dirname(package.origin), "data", "astronaut.png")
    if not path or not os.path.isfile(path):
        raise InputError("there are no photos and scikit-image, which ships an example, is not installed; "
                         "give photos with --input")
    return Photo(path, "astronaut")
