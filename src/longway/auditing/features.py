"""Represent the audited inputs as features: images by a small network and a beta-VAE, texts by their words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from longway.auditing.prepare import AuditInputs
from longway.auditing.probes import stratified_halves
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

MAX_TRAINING_IMAGES = 4000
NETWORK_EPOCHS, VAE_EPOCHS = 6, 6
WORD_FEATURES = 1000


@dataclass(frozen=True)
class Representation:
    """Samples to audit, with their features.

    Parameters
    ----------
    inputs : AuditInputs
        The samples that are audited: those that no network was trained on here.
    features : ndarray of shape (n, d)
    signals : list of Signal
        Words and latent axes.
    traversals : dict of str to ndarray of shape (steps, c, h, w)
        Pictures along signals, by name.
    is_input : bool
        True if the features are the inputs of the audited model.
    assumptions : list of str
    """

    inputs: AuditInputs
    features: np.ndarray
    signals: list[Signal] = field(default_factory=list)
    traversals: dict[str, np.ndarray] = field(default_factory=dict)
    is_input: bool = False
    assumptions: list[str] = field(default_factory=list)


def represent(inputs: AuditInputs, representation: Any, seed: int, verbose: int) -> Representation:
    """Return the features of inputs: the inputs themselves, a given representation, or one that is learnt here.

    Raises
    ------
    LongwayError
        ``representation`` has the wrong number of rows.
    """
    if inputs.kind == "images":
        inputs = replace(inputs, properties={**inputs.properties, **_image_properties(inputs.X)})
    if representation is not None:
        given = np.asanyarray(representation)
        if given.ndim != 2 or len(given) != inputs.n_given:
            raise LongwayError(
                f"representation has shape {given.shape}: give features ({inputs.n_given}, d), one row for each input"
            )
        check_finite(given, "representation")
        words = word_signals(inputs.X) if inputs.kind == "texts" else []
        return Representation(inputs, np.asarray(given[inputs.rows]), words)
    if inputs.kind == "features":
        return Representation(inputs, inputs.X, is_input=True)
    return _represent_texts(inputs) if inputs.kind == "texts" else _represent_images(inputs, seed, verbose)


def _represent_texts(inputs: AuditInputs) -> Representation:
    vectorizer = TfidfVectorizer(analyzer=words_of, max_features=WORD_FEATURES, min_df=2, sublinear_tf=True)
    try:
        features = vectorizer.fit_transform(inputs.X)
    except ValueError as error:
        raise LongwayError("the texts share no words: there is nothing to look at") from error
    assumption = "Texts are represented as bags of words; representation= with an encoder's features shows more."
    return Representation(inputs, np.asarray(features.todense()), word_signals(inputs.X), assumptions=[assumption])


def _image_properties(X: np.ndarray) -> dict[str, np.ndarray]:
    """Return brightness, contrast and colours of images (n, c, h, w)."""
    flat = X.reshape(*X.shape[:2], -1).astype(np.float64)
    found = {"mean brightness": flat.mean((1, 2)), "contrast": flat.std((1, 2))}
    if X.shape[1] == 3:
        found |= {f"mean {name}": flat[:, k].mean(1) for k, name in enumerate(("red", "green", "blue"))}
        found["red minus green"] = found["mean red"] - found["mean green"]
    return found


def _represent_images(inputs: AuditInputs, seed: int, verbose: int) -> Representation:
    """Train a small network and a beta-VAE on one half; audit the other half, which neither saw."""
    n_classes = len(inputs.classes)
    training, audited = stratified_halves(inputs.codes, np.random.default_rng(seed))
    chosen = np.sort(np.random.default_rng(seed).permutation(training)[:MAX_TRAINING_IMAGES])
    X = inputs.X.astype(np.float32)
    samples = Samples(X, inputs.codes, np.ones(len(X)))
    with seeded(seed):
        fit = stopped_nets(
            n_classes, [NETWORK_EPOCHS], batch_size=64, learning_rate=1e-3, balanced="classes", device="auto"
        )
        network = fit(samples.take(chosen), np.random.default_rng(seed))[0]
        axes = shortcut_axes(
            samples.take(chosen), n_classes, seed=seed, beta=1.0, epochs=VAE_EPOCHS, batch_size=64, verbose=verbose
        )
    features = predict_logits(Features(network), samples.take(audited)).numpy()
    latents = predict_logits(MeanEncoder(axes.vae), samples.take(audited)).numpy().astype(np.float64)
    traversals = axes.traverse()
    signals, pictures = [], {}
    for j in range(latents.shape[1]):
        std = max(float(latents[:, j].std()), 1e-12)
        description = f"Latent axis {j} of a beta-VAE that was trained on the images without labels."
        signals.append(Signal(f"axis {j}", description, "axis", j, latents[:, j] / std))
        pictures[f"axis {j}"] = np.clip(traversals[j], 0, 1)
    assumption = (
        f"A small network and a beta-VAE were trained on {len(chosen):,} of the images; the other {len(audited):,}, "
        "which neither saw, were audited."
    )
    return Representation(inputs.take(audited), features, signals, pictures, assumptions=[assumption])
