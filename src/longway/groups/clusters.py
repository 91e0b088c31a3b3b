"""Groups from clusters within each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from torch import Tensor, nn

from longway.data.samples import Samples, predict_logits
from longway.groups._base import InferredGroups, size_caveats
from longway.groups.crossfit import stopped_nets
from longway.linear.feature_head import Standardize
from longway.nn.classifier import Features
from longway.utils.rules import COUNT, POSITIVE, OrNone, Whole

SILHOUETTE_ROWS = 1000
"""Random samples per class for the silhouettes, whose cost is quadratic in them."""
PCA_ROWS = 2**14
"""Random samples that principal components are computed from."""
# Chosen by hand: with a lower mean silhouette, a class has no clear clusters.
CLEAR = 0.15


@dataclass(frozen=True)
class ClusterGroups(InferredGroups):
    """Groups whose pseudo-attribute is a cluster within the class.

    Values are not comparable between classes: the clusters of each class are numbered separately, the largest first.

    Parameters
    ----------
    representation : Representation
        The space of the clusters.
    centres : tuple of ndarray of shape (n_clusters, k)
        Centres of each class.
    silhouettes : tuple of float
        Mean silhouette of each class, from -1 to 1; high values mean separate clusters.
    **inferred
        As in ``InferredGroups``.
    """

    strategy: ClassVar[str] = "clusters"

    representation: Representation
    centres: tuple[np.ndarray, ...]
    silhouettes: tuple[float, ...]

    def attribute_of(self, rows: Samples) -> np.ndarray:
        """Return the nearest cluster of each sample's class, of shape (m,); uses labels."""
        return _nearest(self.representation.read(rows), rows.y, self.centres)

    def _particulars(self) -> dict[str, Any]:
        return {"clusters": [len(centres) for centres in self.centres], "silhouettes": list(self.silhouettes)}


def feature_clusters(
    rows: Samples,
    n_classes: int,
    *,
    seed: int,
    n_clusters: Annotated[int | None, OrNone(Whole(2))] = None,
    most_clusters: Annotated[int, Whole(2)] = 5,
    components: Annotated[int, COUNT] = 10,
    epochs: Annotated[int, COUNT] = 2,
    batch_size: Annotated[int, COUNT] = 64,
    learning_rate: Annotated[float, POSITIVE] = 1e-3,
    min_group_size: Annotated[int, COUNT] = 5,
    device: str = "auto",
    verbose: int = 0,
) -> ClusterGroups:
    """Cluster each class by k-means.

    The space is that of the leading principal components of standardised features; images are first mapped to the
    features of a network trained to classify them.

    Parameters
    ----------
    rows : Samples
        Training data.
    n_classes : int
        C.
    seed : int
        Seed of k-means and of training.
    n_clusters : int, optional
        Clusters per class. By default, each class gets the number from 2 to ``most_clusters`` with the highest mean
        silhouette.
    most_clusters : int, default 5
    components : int, default 10
        Number of principal components, at most.
    epochs : int, default 2
        Of the network on images; longer training discards information that the label does not need.
    batch_size, learning_rate
        Of the network on images.
    min_group_size : int, default 5
        A smaller group is unreliable and raises a caveat.
    device : str, default "auto"
    verbose : int, default 0
        Unused.

    Returns
    -------
    ClusterGroups

    Notes
    -----
    k-means tends to halve a large cluster rather than find a small one: a group of a few percent of its class is missed
    unless it is far away. Low silhouettes then raise a caveat.

    References
    ----------
    Sohoni et al., "No subclass left behind", NeurIPS 2020 (GEORGE): clusters within classes, selected by silhouette.
    """
    network = None
    if len(rows.shape) == 3:
        fit = stopped_nets(
            n_classes,
            [epochs],
            batch_size=batch_size,
            learning_rate=learning_rate,
            balanced="classes",
            device=device,
        )
        network = Features(fit(rows, np.random.default_rng(seed))[0])
    representation = Representation.fit(rows, network, components, seed)
    points = representation.read(rows)
    wanted = range(2, most_clusters + 1) if n_clusters is None else (n_clusters,)
    found = [_clusters(points[rows.y == code], wanted, seed) for code in range(n_classes)]
    centres, silhouettes = tuple(part for part, _ in found), tuple(value for _, value in found)
    attribute = _nearest(points, rows.y, centres)
    n_values = max(map(len, centres))
    groups = rows.y * n_values + attribute
    present = np.unique(groups, return_inverse=True)[1]
    caveats = size_caveats(present, sum(map(len, centres)), min_group_size)
    if min(silhouettes) < CLEAR:
        caveats += (f"a class has no clear clusters (mean silhouette {min(silhouettes):.2f})",)
    return ClusterGroups(attribute, groups, n_values, caveats, representation, centres, silhouettes)


@dataclass(frozen=True)
class Representation:
    """Leading principal components of standardised features, or of the features that a network computes from images."""

    network: nn.Module | None
    scale: Standardize
    basis: Tensor

    @classmethod
    def fit(cls, rows: Samples, network: nn.Module | None, components: int, seed: int) -> Representation:
        """Compute at most this many components; ``network`` maps images to features and is None for features."""
        features = _features(rows, network)
        scale = Standardize(features.shape[0]).double()
        scale.set(*features.moments())
        some = np.sort(np.random.default_rng(seed).permutation(len(rows))[:PCA_ROWS])
        standardized = scale(features.inputs(some, torch.float64)).numpy()
        pca = PCA(min(components, *standardized.shape), random_state=seed).fit(standardized)
        return cls(network, scale, torch.from_numpy(pca.components_.T.copy()))

    def read(self, rows: Samples) -> np.ndarray:
        """Map samples to points (n, k)."""
        features = _features(rows, self.network)
        return features.gather(lambda part: self.scale(features.inputs(part, torch.float64)) @ self.basis).numpy()


def _features(rows: Samples, network: nn.Module | None) -> Samples:
    return rows if network is None else replace(rows, X=predict_logits(network, rows).numpy(), index=None)


def _clusters(points: np.ndarray, wanted: Sequence[int], seed: int) -> tuple[np.ndarray, float]:
    """Return the centres of the clusters of one class, the largest first, and their mean silhouette.

    Their number is the one of ``wanted`` with the highest silhouette, or 1 if all points are equal.
    """
    some = np.random.default_rng(seed).permutation(len(points))[:SILHOUETTE_ROWS]
    distinct = len(np.unique(points[some], axis=0))
    best, score = points.mean(0, keepdims=True), 0.0
    for number in wanted:
        if not 1 < number < distinct:
            continue
        found = KMeans(number, n_init=10, random_state=seed).fit(points)
        labels = found.labels_[some]
        value = float(silhouette_score(points[some], labels)) if 1 < len(np.unique(labels)) < len(some) else 0.0
        if len(best) == 1 or value > score:
            sizes = np.bincount(found.labels_, minlength=number)
            best, score = found.cluster_centers_[np.argsort(-sizes, kind="stable")], value
    return best, score


def _nearest(points: np.ndarray, y: np.ndarray, centres: Sequence[np.ndarray]) -> np.ndarray:
    """Return the nearest centre of each sample's class, of shape (n,)."""
    nearest = np.zeros(len(y), np.int64)
    for code, own in enumerate(centres):
        members = np.flatnonzero(y == code)
        distances = [np.square(points[members] - centre).sum(1) for centre in own]
        nearest[members] = np.argmin(distances, axis=0)
    return nearest
