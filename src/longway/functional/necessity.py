"""How much a linear head needs each of its features."""

from __future__ import annotations

import torch
from torch import Tensor

from longway.functional.hypergradient import Head


def ablation_drops(features: Tensor, labels: Tensor, head: Head) -> Tensor:
    """Return how much the probability of the true class drops where one feature is set to 0, for each feature.

    Parameters
    ----------
    features : Tensor of shape (n, d)
        Of mean 0, so that 0 says nothing.
    labels : Tensor of shape (n,), integer
    head : Head

    Returns
    -------
    Tensor of shape (n, d)
        ``p(y | h) - p(y | h without j)``; negative where the feature speaks against the true class.

    References
    ----------
    arXiv 2411.01045 (CCR), the term of necessity.
    """
    logits = head.logits(features)
    log_p = logits.log_softmax(1).gather(1, labels.unsqueeze(1))
    # Without feature j the logits are (n, d, C): those of class c smaller by x_j w_cj.
    without = logits.unsqueeze(1) - features.unsqueeze(2) * head.weight.T
    own = without.gather(2, labels.view(-1, 1, 1).expand(-1, features.shape[1], 1)).squeeze(2)
    return log_p.exp() - torch.exp(own - without.logsumexp(2))
