"""Association of each latent axis with the label."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot


def shortcut_scores(latents: Tensor, labels: Tensor, n_classes: int, *, class_balanced: bool = True) -> Tensor:
    r"""Score every latent axis by its correlation ratio with the label.

    The ratio is the root of the fraction of an axis's variance that lies between classes. With two classes it equals
    :math:`v_j = |corr(\mu_j, y)|` of SITAR. No gradient flows through the scores.

    Parameters
    ----------
    latents : Tensor of shape (n, d)
        Posterior means of one batch or of a whole data set.
    labels : Tensor of shape (n,), integer
        Class codes in ``0 .. n_classes - 1``.
    n_classes : int
        Number of classes C.
    class_balanced : bool, default True
        Weight samples so that all present classes are weighted equally. The paper asks for a correction of class
        imbalance without giving it; this is the simplest one.

    Returns
    -------
    Tensor of shape (d,)
        Scores in [0, 1]; 0 for a constant axis and if fewer than two classes are present.

    References
    ----------
    arXiv 2511.19525, section 3 (shortcut score of two classes).

    Examples
    --------
    >>> latents = torch.tensor([[0.0, 5.0], [1.0, 5.0], [0.0, 5.0], [1.0, 5.0]])
    >>> shortcut_scores(latents, torch.tensor([0, 1, 0, 1]), 2)
    tensor([1., 0.])
    """
    with torch.autocast(latents.device.type, enabled=False):  # sums in 16 bits would be mostly rounding errors
        return _ratios(latents.detach(), labels, n_classes, class_balanced)


def _ratios(latents: Tensor, labels: Tensor, n_classes: int, class_balanced: bool) -> Tensor:
    """Return the correlation ratio of each axis, of shape (d,)."""
    member = one_hot(labels, n_classes).to(latents)
    weights = member @ member.sum(0).clamp_min(1).reciprocal() if class_balanced else torch.ones_like(latents[:, 0])
    weights = (weights / weights.sum()).unsqueeze(1)
    proportions = (weights * member).sum(0)
    centred = latents - (weights * latents).sum(0)
    # Sums over a class are w_c (m_c - m), so their squares over w_c add up to the variance between classes.
    shifts = (weights * centred).T @ member
    between = (shifts.square() / proportions.where(proportions > 0, torch.inf)).sum(1)
    std = (weights * centred.square()).sum(0).sqrt()
    # A constant axis has a standard deviation of rounding errors, not of exactly zero.
    std = std.where(std > 8 * torch.finfo(latents.dtype).eps * latents.abs().amax(0), torch.inf)
    # With one class only rounding would remain. A mask, not a branch: training calls this at each step, and reading
    # the condition back from a GPU would wait for it.
    several = (proportions > 0).sum() > 1
    return torch.where(several, between.sqrt() / std, 0).clamp(max=1)
