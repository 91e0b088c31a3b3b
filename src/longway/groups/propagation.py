"""Propagation of known groups of a few samples to samples without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from longway.data.samples import Samples, predict_logits
from longway.linear.fit import fit_linear


def propagate_groups(rows: Samples, labelled: Samples, *, l2: float = 0.5) -> np.ndarray:
    """Give every sample a group of its class, with the group frequencies of that class in the labelled samples.

    A linear head is fitted to the labelled samples with equally weighted groups. Within a class, the rarest group gets
    the samples that the head is most confident of, then the next rarest, and the most frequent group gets the rest. A
    rare group thus has few but mostly correct samples, unlike with a threshold at one half.

    Parameters
    ----------
    rows : Samples of n features
        Their groups, if any, are ignored.
    labelled : Samples of m features, with groups
        From the same distribution as ``rows``.
    l2 : float, default 0.5
        Penalty of the head, on standardised features.

    Returns
    -------
    ndarray of shape (n,), int64
        Group codes as in ``labelled.groups``; 0 for samples of a class that ``labelled`` lacks.

    References
    ----------
    Nam et al., "Spread Spurious Attribute", ICLR 2022, for the idea; matching the frequencies is ours.

    Examples
    --------
    >>> X = np.array([[-3.0], [-2.0], [2.0], [3.0], [-4.0], [-3.0], [-1.0], [4.0]])
    >>> known = Samples(X[:4], np.zeros(4, np.int64), np.ones(4), np.array([0, 0, 0, 1]))
    >>> propagate_groups(Samples(X[4:], np.zeros(4, np.int64), np.ones(4)), known).tolist()
    [0, 0, 0, 1]
    """
    assert labelled.groups is not None
    found = np.zeros(len(rows), np.int64)
    known, codes, counts = np.unique(labelled.groups, return_inverse=True, return_counts=True)
    if len(known) == 1:
        return np.full(len(rows), known[0])
    head = fit_linear(replace(labelled, y=codes, weight=1 / counts[codes]), len(known), l2)
    confident = predict_logits(head, rows).numpy()
    for code in np.unique(labelled.y):
        shares = np.bincount(codes[labelled.y == code], minlength=len(known)) / np.sum(labelled.y == code)
        here = np.flatnonzero(shares)
        left = np.flatnonzero(rows.y == code)
        n = len(left)
        for group in here[np.argsort(shares[here], kind="stable")][:-1]:
            others = confident[np.ix_(left, here[here != group])].max(1)
            # Largest margin over the best other group first.
            taken = np.argsort(others - confident[left, group], kind="stable")[: round(shares[group] * n)]
            found[left[taken]] = known[group]
            left = np.delete(left, taken)
        found[left] = known[shares.argmax()]
    return found
