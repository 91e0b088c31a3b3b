"""Grad-CAM: the locations of a feature map that a logit depends on."""

from __future__ import annotations

from torch import Tensor


def grad_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    r"""Return the positive contributions to a logit of the locations of feature maps.

    Each channel is weighted by its mean gradient over all locations, and negative sums are set to 0:
    :math:`\mathrm{ReLU}\big(\sum_k \alpha_k A^k\big)` with
    :math:`\alpha_k = \frac{1}{hw} \sum_{ij} \partial \ell / \partial A^k_{ij}`.

    Parameters
    ----------
    activations : Tensor of shape (n, k, h, w)
        Output of the last convolution for each input, A.
    gradients : Tensor of shape (n, k, h, w)
        Gradients of one logit of each input with respect to its activations.

    Returns
    -------
    Tensor of shape (n, h, w)
        At least 0, in units of the logit.

    References
    ----------
    Selvaraju et al., "Grad-CAM", ICCV 2017, equations 1 and 2.

    Examples
    --------
    >>> import torch
    >>> maps = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    >>> grad_cam(maps, torch.tensor([[[[2.0, 0.0]], [[-4.0, 0.0]]]]))
    tensor([[[1., 0.]]])
    """
    weights = gradients.mean((2, 3), keepdim=True)
    return (weights * activations).sum(1).relu()
