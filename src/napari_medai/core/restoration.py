"""How near a restored image is to the true one: PSNR, SSIM, scale-invariant PSNR."""

from __future__ import annotations

from math import inf, log10

import numpy as np

from napari_medai.core.axes import check_dtype
from napari_medai.core.errors import InputError

_WINDOW = 7


def psnr(
    found: np.ndarray,
    truth: np.ndarray,
    *,
    data_range: float | None = None,
    where: np.ndarray | None = None,
) -> float:
    """Peak signal-to-noise ratio in decibel; infinite for equal images.

    Parameters
    ----------
    found, truth
        Images of one shape.
    data_range
        What counts as peak; by default from the lowest to the highest value of the truth.
    where
        Bool, of their shape: which pixels count.

    Raises
    ------
    InputError
        If shapes differ, a pixel that counts is not finite, or the range is not above 0.
    """
    found, truth = _pixels(found, truth, where)
    peak = _range(truth) if data_range is None else _given(data_range)
    return _decibel(peak, found - truth)


def scale_invariant_psnr(
    found: np.ndarray, truth: np.ndarray, *, where: np.ndarray | None = None
) -> float:
    """PSNR in decibel after the scale and offset that bring ``found`` nearest to the truth.

    For images whose brightness was set differently. The peak is the range of the truth. As in
    Weigert et al., *Content-aware image restoration*, Nature Methods 2018.

    Raises
    ------
    InputError
        As `psnr`.
    """
    found, truth = _pixels(found, truth, where)
    peak = _range(truth)
    # so that no value is too large to be squared
    found, truth = found - found.mean(), (truth - truth.mean()) / peak
    largest = float(np.abs(found).max())
    found = found / (largest or 1.0)
    power = float((found * found).sum())
    scale = float((found * truth).sum()) / power if power else 0.0
    return _decibel(1.0, scale * found - truth)


def ssim(
    found: np.ndarray,
    truth: np.ndarray,
    *,
    data_range: float | None = None,
    where: np.ndarray | None = None,
) -> float:
    """Structural similarity, at most 1, as scikit-image has it (windows of 7 pixels).

    It compares brightness relative to 0, so an offset common to both images raises it.

    Parameters
    ----------
    found, truth
        Images of one shape, in two or more dimensions of at least 7 pixels.
    data_range
        By default from the lowest to the highest value of the truth.
    where
        Bool, of their shape: the middles of the windows that count. What they hold beyond is
        taken as alike.

    Raises
    ------
    InputError
        As `psnr`, and if the images are too small.
    """
    from skimage.metrics import structural_similarity

    chosen, true = _pixels(found, truth, where)
    if np.ndim(truth) < 2 or min(np.shape(truth)) < _WINDOW:
        raise InputError(
            f"SSIM compares windows of {_WINDOW} pixels along each axis, got images of shape "
            f"{np.shape(truth)}; compare larger ones, or use PSNR"
        )
    peak = _range(true) if data_range is None else _given(data_range)
    counts = np.ones(np.shape(truth), bool) if where is None else np.asarray(where)
    filled = [np.zeros(counts.shape), np.zeros(counts.shape)]
    for image, values in zip(filled, (chosen, true), strict=True):
        # for the same reason as above; not shifted, as SSIM is relative to brightness
        image[counts] = values / peak
    mean, local = structural_similarity(  # type: ignore[no-untyped-call]
        *filled, data_range=1.0, win_size=_WINDOW, full=True
    )
    return float(mean if where is None else local[counts].mean())


def _pixels(
    found: np.ndarray, truth: np.ndarray, where: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The values that count, float64 (n,) each."""
    found, truth = np.asarray(found), np.asarray(truth)
    for image in (found, truth):
        check_dtype(image.dtype)
    if found.shape != truth.shape or not truth.size:
        raise InputError(
            "a restored and a true image are compared pixel by pixel, got shapes "
            f"{found.shape} and {truth.shape}; give two of one shape that have pixels"
        )
    if where is not None:
        where = np.asarray(where)
        if where.dtype != bool or where.shape != truth.shape or not where.any():
            raise InputError(
                f"where must be bool of shape {truth.shape} with a pixel that counts, got "
                f"{where.dtype} of shape {where.shape} with {np.count_nonzero(where)} of them"
            )
    chosen = [
        (image.ravel() if where is None else image[where]).astype(np.float64)
        for image in (found, truth)
    ]
    for name, values in zip(("restored", "true"), chosen, strict=True):
        bad = values.size - int(np.isfinite(values).sum())
        if bad:
            raise InputError(
                f"{bad} of the {values.size} pixels of the {name} image are NaN or infinite; "
                "leave them out with where=np.isfinite(image)"
            )
    return chosen[0], chosen[1]


def _range(truth: np.ndarray) -> float:
    peak = float(truth.max() - truth.min())
    if not 0 < peak < inf:
        raise InputError(
            f"the true image is {truth[0]:g} everywhere or has no finite range, so there is no "
            "peak to compare with; give data_range, or choose another image"
        )
    return peak


def _given(data_range: float) -> float:
    if not 0 < data_range < inf:
        raise InputError(
            f"data_range must be a number above 0, got {data_range!r}; give the highest value "
            "minus the lowest that the image may have, such as 255"
        )
    return float(data_range)


def _decibel(peak: float, error: np.ndarray) -> float:
    mean = float(np.mean((error / peak) ** 2))
    return -10 * log10(mean) if mean else inf
