"""Classical filters of scikit-image, given values whose noise has a deviation of 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage
from skimage import restoration

from napari_medai.core.noise import CameraNoise

Filter = Callable[[np.ndarray], np.ndarray]


def _non_local_means(values: np.ndarray) -> np.ndarray:
    return np.asarray(
        restoration.denoise_nl_means(
            values, patch_size=5, patch_distance=7, h=0.8, sigma=1.0, fast_mode=True
        )
    )


def _total_variation(values: np.ndarray) -> np.ndarray:
    # the filter's own limits for convergence count in parts of the range
    span = float(np.ptp(values)) or 1.0
    return np.asarray(restoration.denoise_tv_chambolle(values / span, weight=1.2 / span) * span)


def _wavelets(values: np.ndarray) -> np.ndarray:
    return np.asarray(
        restoration.denoise_wavelet(values, sigma=1.0, mode="soft", rescale_sigma=False)
    )


FILTERS: dict[str, Filter] = {
    "Gaussian": lambda values: np.asarray(ndimage.gaussian_filter(values, 1.2)),
    "median": lambda values: np.asarray(ndimage.median_filter(values, 5)),
    "non-local means": _non_local_means,
    "total variation": _total_variation,
    "wavelets": _wavelets,
}


def filtered(name: str, noisy: np.ndarray, noise: CameraNoise) -> np.ndarray:
    """An image (Y, X) by one of `FILTERS`, on stabilised values."""
    return noise.expected(FILTERS[name](noise.stabilised(noisy).astype(np.float64)))
