"""What is measured on one data set of the zoo: the verdict, and how well several ways find the minorities."""

from __future__ import annotations

import io
import time
from contextlib import redirect_stdout
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.mixture import GaussianMixture

from benchmarks.audit.zoo import Case
from longway import audit
from longway.auditing import Audit
from longway.auditing.model import fit_linear_model
from longway.auditing.pca import PCASpace
from longway.auditing.probes import stratified_halves
from longway.auditing.signals import Signal, split_signal

READ = 0.8
"""A candidate reads an attribute where it ranks the samples of either class by it with at least this area."""
COMPONENTS, SLICES, WEIGHT = 10, 12, 10.0
"""Of the Domino-style clustering; the weight is Domino's own for labels and errors."""


def measure(case: Case, seed: int) -> dict[str, Any]:
    """Audit a data set; where it has an attribute, say whether it was found and who found the minorities."""
    X, y, attribute = case.build()
    y = np.unique(y, return_inverse=True)[1]
    began = time.perf_counter()
    found = audit(X, y, seed=seed)
    record: dict[str, Any] = {
        "family": case.family,
        "name": case.name,
        "seed": seed,
        "kind": case.kind,
        "strength": case.strength,
        "n": len(y),
        "seconds": time.perf_counter() - began,
        "level": found.verdict.level,
        "score": found.verdict.score,
        "signal": found.candidates[0].name,
        "uncontradicted": any(each.contradicting == 0 for each in found.candidates),
        "confirmed_slices": sum(each.confirmed for each in found.slices),
    }
    if attribute is None or case.kind != "planted":
        return record
    assert case.strength is not None
    minority = attribute != y if case.strength > 0.5 else attribute == y
    record["read"] = _read(found.candidates[0].values, attribute, y)
    record["average_precision"] = _precisions(found, X, y, minority, seed)
    return record


def _read(values: np.ndarray, attribute: np.ndarray, y: np.ndarray) -> float:
    """Return how well a signal ranks the samples of a class by their attribute, averaged; turned to be above 0.5."""
    areas = []
    for code in np.unique(y):
        own = y == code
        agrees = attribute[own] == code
        if 0 < agrees.sum() < len(agrees):
            area = roc_auc_score(agrees, values[own])
            areas.append(max(area, 1 - area))
    return float(np.mean(areas))


def _precisions(found: Audit, X: np.ndarray, y: np.ndarray, minority: np.ndarray, seed: int) -> dict[str, float]:
    """Return the average precision with which each way ranks the true minority, and that of chance."""
    first, n_classes = found.candidates[0], int(y.max()) + 1
    sides = split_signal(Signal(first.name, "", first.source, first.index, first.values), y, n_classes)
    points = PCASpace.fit(X).transform(X)
    judge = fit_linear_model(points, y, n_classes, stratified_halves(y, np.random.default_rng(seed)))
    wrong = (judge.codes != y).astype(np.float64)  # JTT's error set, of a head that did not see the rows
    ways = {"audit": -sides.margin(y), "errors": wrong, "domino": _domino(points, y, wrong, seed)}
    if (cleanlab := _cleanlab(points, y, judge.probabilities)) is not None:
        ways["cleanlab"] = cleanlab
    shares = {name: float(average_precision_score(minority, score)) for name, score in ways.items()}
    return {**shares, "chance": float(minority.mean())}


def _cleanlab(points: np.ndarray, y: np.ndarray, probabilities: np.ndarray) -> np.ndarray | None:
    """Return how badly off each row is by cleanlab's check for underperforming groups; None without cleanlab."""
    try:
        from cleanlab import Datalab
    except ImportError:
        return None
    lab = Datalab(data={"label": y}, label_name="label", task="classification", verbosity=0)
    with redirect_stdout(io.StringIO()):
        lab.find_issues(features=points, pred_probs=probabilities, issue_types={"underperforming_group": {}})
    return 1 - lab.get_issues("underperforming_group")["underperforming_group_score"].to_numpy()


def _domino(points: np.ndarray, y: np.ndarray, wrong: np.ndarray, seed: int) -> np.ndarray:
    """Cluster features, label and error together; a sample scores its cluster's error rate (after Domino)."""
    points = points[:, :COMPONENTS] / points[:, :COMPONENTS].std(0)
    joint = np.c_[points, WEIGHT * y, WEIGHT * wrong]
    mixture = GaussianMixture(SLICES, covariance_type="diag", reg_covar=1e-3, random_state=seed)
    shares = mixture.fit(joint).predict_proba(joint)
    return shares @ (shares.T @ wrong / np.maximum(shares.sum(0), 1e-9))
