"""Features of what is no features: of images by a small network and a beta-VAE, of texts by their words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from longway.auditing.prepare import Inputs
from longway.auditing.probes import alike_halves
from longway.auditing.signals import Signal
from longway.auditing.words import word_signals, words_of
from longway.data.samples import Samples, predict_logits
from longway.data.validation import check_finite
from longway.groups import shortcut_axes
from longway.groups.crossfit import stopped_nets
from longway.nn.classifier import Features
from longway.nn.vae import MeanEncoder
from longway.utils.device import seeded
from longway.utils.errors import LongwayError

TEACHING = 4000
"""Images that the networks see, at most."""
NETWORK_EPOCHS, VAE_EPOCHS = 6, 6
WORD_FEATURES = 1000


@dataclass(frozen=True)
class View:
    """Rows to audit with features of them.

    Parameters
    ----------
    inputs : Inputs
        Those of the given rows that are left to audit.
    features : ndarray of shape (n, d)
    signals : list of Signal
        Beside what is read off features and columns.
    traversals : dict of str to ndarray of shape (steps, c, h, w)
        Pictures along signals, by name.
    own : bool
        Whether the features are what a given model reads.
    assumptions : list of str
    """

    inputs: Inputs
    features: np.ndarray
    signals: list[Signal] = field(default_factory=list)
    traversals: dict[str, np.ndarray] = field(default_factory=dict)
    own: bool = False
    assumptions: list[str] = field(default_factory=list)


def represent(inputs: Inputs, representation: Any, seed: int, verbose: int) -> View:
    """Return features of inputs: what they are, what was given, or what can be made here.

    Raises
    ------
    LongwayError
        ``representation`` has another number of rows.
    """
    if inputs.kind == "images":
        inputs = replace(inputs, columns={**inputs.columns, **_properties(inputs.X)})
    if representation is not None:
        given = np.asanyarray(representation)
        if given.ndim != 2 or len(given) != inputs.n_given:
            raise LongwayError(
                f"representation has shape {given.shape}: give features ({inputs.n_given}, d), one row for each input"
            )
        check_finite(given, "representation")
        words = word_signals(inputs.X) if inputs.kind == "texts" else []
        return View(inputs, np.asarray(given[inputs.rows]), words)
    if inputs.kind == "features":
        return View(inputs, inputs.X, own=True)
    return _of_texts(inputs) if inputs.kind == "texts" else _of_images(inputs, seed, verbose)


def _of_texts(inputs: Inputs) -> View:
    cut = TfidfVectorizer(analyzer=words_of, max_features=WORD_FEATURES, min_df=2, sublinear_tf=True)
    try:
        features = cut.fit_transform(inputs.X)
    except ValueError as error:
        raise LongwayError("the texts share no words: there is nothing to look at") from error
    said = "Texts were looked at as bags of words; a representation= of an encoder says more."
    return View(inputs, np.asarray(features.todense()), word_signals(inputs.X), assumptions=[said])


def _properties(X: np.ndarray) -> dict[str, np.ndarray]:
    """Return plain properties of images (n, c, h, w)."""
    flat = X.reshape(*X.shape[:2], -1).astype(np.float64)
    found = {"mean brightness": flat.mean((1, 2)), "contrast": flat.std((1, 2))}
    if X.shape[1] == 3:
        found |= {f"mean {name}": flat[:, k].mean(1) for k, name in enumerate(("red", "green", "blue"))}
        found["red minus green"] = found["mean red"] - found["mean green"]
    return found


def _of_images(inputs: Inputs, seed: int, verbose: int) -> View:
    """Train a small network and a beta-VAE on one half; the other half, which neither saw, is left to audit."""
    n_classes = len(inputs.classes)
    teaching, left = alike_halves(inputs.codes, np.random.default_rng(seed))
    some = np.sort(np.random.default_rng(seed).permutation(teaching)[:TEACHING])
    X = inputs.X.astype(np.float32)
    rows = Samples(X, inputs.codes, np.ones(len(X)))
    with seeded(seed):
        fit = stopped_nets(
            n_classes, [NETWORK_EPOCHS], batch_size=64, learning_rate=1e-3, balanced="classes", device="auto"
        )
        network = fit(rows.take(some), np.random.default_rng(seed))[0]
        axes = shortcut_axes(
            rows.take(some), n_classes, seed=seed, beta=1.0, epochs=VAE_EPOCHS, batch_size=64, verbose=verbose
        )
    features = predict_logits(Features(network), rows.take(left)).numpy()
    latents = predict_logits(MeanEncoder(axes.vae), rows.take(left)).numpy().astype(np.float64)
    walks = axes.traverse()
    signals, pictures = [], {}
    for j in range(latents.shape[1]):
        spread = max(float(latents[:, j].std()), 1e-12)
        about = f"Latent axis {j} of a beta-VAE that was trained on the images without labels."
        signals.append(Signal(f"axis {j}", about, "axis", j, latents[:, j] / spread))
        pictures[f"axis {j}"] = np.clip(walks[j], 0, 1)
    said = (
        f"A small network and a beta-VAE were trained on {len(some):,} of the images; the other {len(left):,}, which "
        "neither saw, were audited."
    )
    return View(inputs.take(left), features, signals, pictures, assumptions=[said])
