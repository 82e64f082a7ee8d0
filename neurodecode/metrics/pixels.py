"""Pictures against pictures, value by value: PixCorr and SSIM."""

from __future__ import annotations

import numpy as np

from ..vision import _backends


def resized(images: np.ndarray, size: int | None) -> np.ndarray:
    """Resize (n, row, column, colour) to ``size`` x ``size``, bilinear with anti-aliasing; None: as they are."""
    if size is None or images.shape[1:3] == (size, size):
        return images
    torch = _backends.torch()
    pictures = torch.from_numpy(np.ascontiguousarray(images, np.float32)).permute(0, 3, 1, 2)
    out = torch.nn.functional.interpolate(
        pictures, size=(size, size), mode="bilinear", align_corners=False, antialias=True
    )
    return out.permute(0, 2, 3, 1).numpy()


def pixcorr(reconstructions: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """Pearson r over all values of each picture (n), signed; 0 for a reconstruction of one value everywhere.

    Parameters
    ----------
    reconstructions, truths : NumPy (n, row, column, colour), in one order

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> pictures = np.random.default_rng(0).random((2, 8, 8, 3))
    >>> nd.metrics.pixcorr(1 - pictures, pictures).round(6)
    array([-1., -1.])
    """
    a, b = (_centred(v.reshape(len(v), -1).astype(np.float64)) for v in (reconstructions, truths))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.where(norms > 1e-12, (a * b).sum(axis=1) / np.maximum(norms, 1e-12), 0.0)


def ssim(reconstructions: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """Structural similarity (n) in grey, Gaussian window of sigma 1.5, data range 1 (Wang et al. 2004).

    Parameters
    ----------
    reconstructions, truths : NumPy (n, row, column, colour), in one order

    Raises
    ------
    ValueError
        For pictures smaller than the window, 11 x 11.

    Examples
    --------
    >>> import numpy as np, neurodecode as nd
    >>> pictures = np.random.default_rng(0).random((2, 16, 16, 3))
    >>> nd.metrics.ssim(pictures, pictures).round(6)
    array([1., 1.])
    """
    from skimage.color import rgb2gray
    from skimage.metrics import structural_similarity

    return np.array(
        [
            structural_similarity(
                rgb2gray(x),
                rgb2gray(y),
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=1.0,
            )
            for x, y in zip(reconstructions, truths, strict=True)
        ]
    )


def _centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=1, keepdims=True)
