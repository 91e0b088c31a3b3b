"""Losses of single samples."""

from __future__ import annotations

from torch import Tensor


def generalized_cross_entropy(logits: Tensor, labels: Tensor, q: float = 0.7) -> Tensor:
    r"""Return the generalised cross-entropy :math:`(1 - p_y^q) / q` of each sample.

    Its gradient is that of the cross-entropy times :math:`p_y^q`: samples that a network finds easy get more weight,
    which amplifies its bias towards them. As q approaches 0 it is the cross-entropy, at q = 1 it is linear in
    :math:`p_y`.

    Parameters
    ----------
    logits : Tensor of shape (n, C)
    labels : Tensor of shape (n,), integer
    q : float, default 0.7
        Above 0.

    Returns
    -------
    Tensor of shape (n,)

    References
    ----------
    Zhang and Sabuncu, "Generalized cross entropy loss for training deep neural networks with noisy labels", NeurIPS
    2018, equation 6.

    Examples
    --------
    >>> import torch
    >>> generalized_cross_entropy(torch.zeros(1, 2), torch.tensor([1]), q=1.0)
    tensor([0.5000])
    """
    # p^q as exp(q log p): the gradient of a power of p = 0 would be infinite.
    log_p = logits.log_softmax(1).gather(1, labels.unsqueeze(1)).squeeze(1)
    return (1 - (q * log_p).exp()) / q
