"""Changes of whole batches of photos that need no other labels: color, blur, noise, patches."""

import numpy as np

# Standard deviations of logarithms.
_GAIN, _CAST, _CONTRAST, _GAMMA = 0.15, 0.08, 0.15, 0.2
_SATURATION = (0.4, 1.3)
_GRAY, _BLUR, _PATCH = 0.08, 0.25, 0.35  # probabilities
_NOISE = 10.0  # largest standard deviation, gray levels
_PATCH_SIDE = (0.1, 0.45)  # of the picture
_MIDDLE = 0.45
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
_NOISE_LENGTH = 1 << 21  # numbers, made once; a piece of them costs a tenth of new ones
_NOISE_SEED = 20


class PhotoJitter:
    """Samples changes and applies them; equal random states give equal pictures."""

    def __init__(self) -> None:
        noise = np.random.RandomState(_NOISE_SEED).standard_normal(_NOISE_LENGTH)
        self._noise = noise.astype(np.float32)

    def apply(self, random: np.random.RandomState, photos: np.ndarray) -> np.ndarray:
        """Return changed photos.

        Args:
            random: source of random numbers.
            photos: [B, S, S, 3] uint8 RGB.

        Returns:
            [B, S, S, 3] float32 RGB, 0..255.
        """
        count = len(photos)

        # 1. Exposure, white balance, contrast, gamma.
        changed = _change_tones(random, photos)

        # 2. Saturation; some photos become gray.
        factors = random.uniform(*_SATURATION, count)
        factors[random.uniform(0, 1, count) < _GRAY] = 0
        gray = changed.dot(_LUMINANCE)[..., np.newaxis]
        changed -= gray
        changed *= factors.astype(np.float32)[:, np.newaxis, np.newaxis, np.newaxis]
        changed += gray

        # 3. Blur, noise, patches.
        for index in np.flatnonzero(random.uniform(0, 1, count) < _BLUR):
            changed[index] = _blur(changed[index])
        levels = _NOISE * random.uniform(0, 1, count) ** 2
        size = changed[0].size
        for index, level in enumerate(levels):
            start = random.randint(_NOISE_LENGTH - size)
            noise = self._noise[start : start + size].reshape(changed[index].shape)
            changed[index] += np.float32(level) * noise
        for index in np.flatnonzero(random.uniform(0, 1, count) < _PATCH):
            _cover(random, changed[index])
        return np.clip(changed, 0, 255, out=changed)


def _change_tones(random: np.random.RandomState, photos: np.ndarray) -> np.ndarray:
    """Change exposure, white balance, contrast and gamma by a table per photo and channel.

    Args:
        random: source of random numbers.
        photos: [B, S, S, 3] uint8 RGB.

    Returns:
        [B, S, S, 3] float32 RGB, 0..255.
    """
    # 1. Parameters of each photo.
    count = len(photos)
    exposure = _GAIN * random.standard_normal((count, 1, 1))
    gains = np.exp(exposure + _CAST * random.standard_normal((count, 3, 1)))
    deviations = np.array([_CONTRAST, _GAMMA])[:, np.newaxis, np.newaxis, np.newaxis]
    contrast, gamma = np.exp(deviations * random.standard_normal((2, count, 1, 1)))

    # 2. Tables, [B, 3, 256].
    levels = (np.arange(256) / 255.0) ** gamma
    tables = 255 * ((levels * gains - _MIDDLE) * contrast + _MIDDLE)
    tables = np.clip(tables, 0, 255).astype(np.float32)

    # 3. Look-up.
    changed = np.empty(photos.shape, np.float32)
    for index in range(count):
        for channel in range(3):
            changed[index, ..., channel] = tables[index, channel][photos[index, ..., channel]]
    return changed


def _blur(photo: np.ndarray) -> np.ndarray:
    """Average 3x3 pixels, but not across the edges; photo is [S, S, 3]."""
    result = photo.copy()
    result[1:-1] = (photo[:-2] + photo[1:-1] + photo[2:]) / 3
    result[:, 1:-1] = (result[:, :-2] + result[:, 1:-1] + result[:, 2:]) / 3
    return result


def _cover(random: np.random.RandomState, photo: np.ndarray) -> None:
    """Cover a random rectangle of a photo [S, S, 3] with one color, in place.

    Zhong et al., "Random Erasing Data Augmentation", AAAI 2020.
    """
    size = photo.shape[0]
    height, width = (random.uniform(*_PATCH_SIDE, 2) * size).astype(int)
    top = random.randint(size - height)
    left = random.randint(size - width)
    photo[top : top + height, left : left + width] = random.uniform(0, 255, 3)
