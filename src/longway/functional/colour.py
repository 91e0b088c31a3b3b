"""Maps between the colours of two sets of images, in closed form."""

from __future__ import annotations

import torch
from torch import Tensor


def colour_moments(images: Tensor, values: Tensor, n_values: int) -> tuple[Tensor, Tensor]:
    """Return the mean and the second moment of the pixels in each set of images.

    Parameters
    ----------
    images : Tensor of shape (n, c, h, w)
    values : Tensor of shape (n,), integer
        The set of each image, ``0 .. n_values - 1``.
    n_values : int
        V.

    Returns
    -------
    mean : Tensor of shape (V, c), float64
    second : Tensor of shape (V, c, c), float64
        Means of ``p p^T``, not centred. Both moments of an empty set are zero.
    """
    pixels = images.double().flatten(2)
    count = torch.zeros(n_values, dtype=torch.float64).index_add_(0, values, torch.ones(len(values)).double())
    count = count.clamp_min(1) * pixels.shape[2]
    channels = pixels.shape[1]
    mean = torch.zeros(n_values, channels, dtype=torch.float64).index_add_(0, values, pixels.sum(2))
    second = torch.zeros(n_values, channels, channels, dtype=torch.float64)
    second.index_add_(0, values, pixels @ pixels.transpose(1, 2))
    return mean / count[:, None], second / count[:, None, None]


def colour_maps(mean: Tensor, second: Tensor, *, matched: bool = True) -> Tensor:
    r"""Return linear maps of pixels that give each set of images the colours of each other set.

    With the spectra :math:`M_a = U_a \Lambda_a U_a^T` of the second moments, :math:`W_{ab} = U_b \Lambda_b^{1/2}
    \Lambda_a^{-1/2} U_a^T` takes the principal colours of a to those of b, so that :math:`W_{ab} M_a W_{ab}^T = M_b`
    if a has as many colours as b. Unlike the optimal transport map it is defined if the two share no colour, such as
    pure red and pure green. Colours that a lacks are mapped to zero.

    Without the spectra, :math:`U_b U_a^T` rotates the principal colours and keeps the brightness of each pixel. Sets
    that differ in content also differ in brightness, such as digits with more and with less ink. Matching brightness
    leaves a trace that distinguishes a recoloured image from one that always had that colour
    (docs/experiments/0007-sitar-default.md).

    Parameters
    ----------
    mean : Tensor of shape (V, c)
        Mean pixel of each set; it determines the signs of the principal colours.
    second : Tensor of shape (V, c, c)
        Second moments of the pixels of each set.
    matched : bool, default True
        Match the second moments; else only rotate the colours.

    Returns
    -------
    Tensor of shape (V, V, c, c)
        ``maps[a, b] @ pixel``; the identity for a = b.

    Examples
    --------
    >>> red, green = torch.diag(torch.tensor([0.2, 0.0])), torch.diag(torch.tensor([0.0, 0.2]))
    >>> (colour_maps(torch.eye(2), torch.stack([red, green]))[0, 1] @ torch.tensor([1.0, 0.0])).round()
    tensor([0., 1.])
    """
    spectrum, axes = torch.linalg.eigh(second)  # in rising order: the principal colour is the last
    # Colours of less than a millionth of the largest moment are rounding errors; their inverse roots would be huge.
    spectrum = spectrum.where(spectrum > 1e-6 * spectrum[:, -1:], 0.0)
    along_mean = (axes * mean.unsqueeze(2)).sum(1, keepdim=True)
    axes = axes * torch.where(along_mean < 0, -1.0, 1.0)
    # The signs of weak colours are poorly determined by the mean: take those that rotate the colours least.
    cosines = torch.einsum("aik,bik->abk", axes, axes)
    signs = torch.where(cosines < 0, -1.0, 1.0)
    signs[..., -1] = 1.0
    inverse = spectrum.rsqrt().where(spectrum > 0, 0.0)
    scale = spectrum.sqrt().unsqueeze(0) * inverse.unsqueeze(1) * signs if matched else signs
    maps = torch.einsum("bik,abk,ajk->abij", axes, scale, axes)
    same = torch.arange(len(mean))
    maps[same, same] = torch.eye(mean.shape[1], dtype=maps.dtype)
    return maps
