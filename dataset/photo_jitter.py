"""Changes to whole batches of photos that leave every coefficient as it is: colour, blur, noise, patches."""

import numpy as np

_GAIN, _CAST, _CONTRAST, _GAMMA = 0.15, 0.08, 0.15, 0.2  # standard deviations, of logarithms
_SATURATION = (0.4, 1.3)
_GREY, _BLUR, _PATCH = 0.08, 0.25, 0.35  # probabilities
_NOISE = 10.0  # grey levels, the most
_PATCH_SIDE = (0.1, 0.45)  # of the picture
_MIDDLE = 0.45
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
_NOISE_LENGTH = 1 << 21  # numbers drawn once; batches take pieces, which costs a tenth of new ones
_NOISE_SEED = 20


class PhotoJitter:
    """Draws changes and applies them; the same random numbers give the same pictures."""

    def __init__(self):
        self._noise = np.random.RandomState(_NOISE_SEED).standard_normal(_NOISE_LENGTH).astype(np.float32)

    def apply(self, random, photos):
        """Return changed photos.

        Args:
            random: a ``RandomState``.
            photos: [B, S, S, 3] uint8 RGB.

        Returns:
            [B, S, S, 3] float32 RGB, 0..255.
        """
        count = len(photos)
        changed = _toned(random, photos)
        saturation = random.uniform(*_SATURATION, count)
        saturation[random.uniform(0, 1, count) < _GREY] = 0
        saturation = saturation.astype(np.float32)[:, np.newaxis, np.newaxis, np.newaxis]
        grey = changed.dot(_LUMINANCE)[..., np.newaxis]
        changed -= grey
        changed *= saturation
        changed += grey
        for index in np.flatnonzero(random.uniform(0, 1, count) < _BLUR):
            changed[index] = _blurred(changed[index])
        levels = _NOISE * random.uniform(0, 1, count) ** 2
        size = changed[0].size
        for index, level in enumerate(levels):
            start = random.randint(_NOISE_LENGTH - size)
            changed[index] += np.float32(level) * self._noise[start:start + size].reshape(changed[index].shape)
        for index in np.flatnonzero(random.uniform(0, 1, count) < _PATCH):
            _cover(random, changed[index])
        return np.clip(changed, 0, 255, out=changed)


def _toned(random, photos):
    """Change exposure, white balance, contrast and gamma, by a table for each photo and channel."""
    count = len(photos)
    gains = np.exp(_GAIN * random.standard_normal((count, 1, 1)) + _CAST * random.standard_normal((count, 3, 1)))
    contrast, gamma = np.exp(np.array([_CONTRAST, _GAMMA])[:, np.newaxis, np.newaxis, np.newaxis]
                             * random.standard_normal((2, count, 1, 1)))
    levels = (np.arange(256) / 255.0) ** gamma
    tables = np.clip(255 * ((levels * gains - _MIDDLE) * contrast + _MIDDLE), 0, 255).astype(np.float32)
    changed = np.empty(photos.shape, np.float32)
    for index in range(count):
        for channel in range(3):
            changed[index, ..., channel] = tables[index, channel][photos[index, ..., channel]]
    return changed


def _blurred(photo):
    """Average 3x3 pixels; edges stay."""
    result = photo.copy()
    result[1:-1] = (photo[:-2] + photo[1:-1] + photo[2:]) / 3
    result[:, 1:-1] = (result[:, :-2] + result[:, 1:-1] + result[:, 2:]) / 3
    return result


def _cover(random, photo):
    """Put a patch of one colour, or of noise, somewhere (Zhong et al., "Random Erasing", AAAI 2020)."""
    size = photo.shape[0]
    height, width = (random.uniform(*_PATCH_SIDE, 2) * size).astype(int)
    top, left = random.randint(size - height), random.randint(size - width)
    photo[top:top + height, left:left + width] = random.uniform(0, 255, 3)
