"""The contract of every method: a scikit-learn classifier that knows about groups, validation data and seeds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from longway.data.folds import hold_out
from longway.data.samples import Samples, predict_logits
from longway.data.validation import (
    check_finite,
    check_groups,
    check_images,
    check_labels,
    check_logits,
    check_weights,
    encode_labels,
    one_line_errors,
)
from longway.methods._parameters import check_parameters, parameter, parameters, parameters_of
from longway.methods._search_space import Space
from longway.training.options import one_fit
from longway.training.selection import LAST, RULES, selection_caveats
from longway.utils.arrays import as_numpy
from longway.utils.device import own_torch_state, resolve_device, seeded
from longway.utils.errors import LongwayError, nearest
from longway.utils.rules import FRACTION, SEED, Choice, Other, Whole

SUPERVISION = ("none", "val_groups", "train_groups")
"""Levels of supervision: the group labels that a method may use, from none to those of every training sample."""

DEVICE = Other(lambda value: isinstance(value, str), "a string such as 'auto', 'cpu' or 'cuda'")
VERBOSE = Other(lambda value: isinstance(value, bool) or Whole(0).accepts(value), Whole(0).words)


@dataclass(frozen=True)
class FitData:
    """Everything a method learns from: checked and encoded data, and the source of its random choices.

    Parameters
    ----------
    rows : Samples
        Training data.
    n_classes : int
        C.
    validation : Samples or None
        The ``eval_set``, if one was given.
    generator : numpy Generator
        For every random choice outside torch.
    """

    rows: Samples
    n_classes: int
    validation: Samples | None
    generator: np.random.Generator

    def split(self, fraction: float) -> tuple[Samples, Samples, str]:
        """Return training data, validation data, and the source of the latter.

        Without an ``eval_set``, a stratified fraction of the training data is set aside. If no class has a sample to
        spare, all samples serve as both, and the source is "training data".
        """
        if self.validation is not None:
            return self.rows, self.validation, "eval_set"
        kept, aside = hold_out(self.rows.y, self.n_classes, fraction, self.generator)
        if len(aside) == 0:
            return self.rows, self.rows, "training data"
        return self.rows.take(kept), self.rows.take(aside), "validation_fraction"


@parameters
class Method(ClassifierMixin, BaseEstimator, ABC):
    """A classifier for features (n, d) or, where ``takes_images`` is true, for images (n, c, h, w).

    A subclass declares its parameters as annotated fields, builds a network in ``_build`` and trains it in ``_fit``.
    Checks, label encoding, prediction and seeding happen here.

    Parameters
    ----------
    selection : {"auto", "worst_group", "worst_class", "balanced", "average"}, default "auto"
        Validation score that selects the epoch or the setting to keep: worst-group, worst-class, class-balanced or
        average accuracy. ``auto`` is ``worst_group`` if validation groups are given, else ``worst_class``.
    validation_fraction : float, default 0.1
        Fraction of the training data to validate on if no ``eval_set`` is given.
    device : str, default "auto"
        "cpu", "cuda", ...; ``auto`` is a GPU if there is one.
    random_state : int, RandomState or None, default 0
        Seed of every random choice; global random state is left alone.
    verbose : int, default 0
        1 shows a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        Labels in sorted order, as given (strings or numbers).
    module_ : nn.Module
        The fitted network, inputs to logits.
    input_shape_ : tuple of int
        Shape of one input.
    history_ : list of dict
        One record per epoch, or per setting tried.
    selection_ : dict
        The rule, what it selected, and the data it was applied to; empty if nothing was selected.
    supervision_ : {"none", "val_groups", "train_groups"}
        The group labels that this fit used.
    """

    supervision: ClassVar[str] = "none"
    takes_images: ClassVar[bool] = False
    needs: ClassVar[str] = "labels only"
    """The condition under which the method can work, for tables of methods."""
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    selection: str = parameter("auto", Choice(("auto", *RULES)))
    validation_fraction: float = parameter(0.1, FRACTION)
    device: str = parameter("auto", DEVICE)
    random_state: int | np.random.RandomState | None = parameter(0, SEED)
    verbose: int = parameter(0, VERBOSE)

    @property
    def caveats(self) -> tuple[str, ...]:
        """Reasons to distrust what the fit found out by itself, such as inferred groups; one sentence each."""
        found = (*getattr(self, "caveats_", ()), *getattr(self, "group_inference_", {}).get("caveats", ()))
        # A method that asks for no condition does not claim to avoid shortcuts.
        claims = self.needs != Method.needs
        return (*found, *selection_caveats(getattr(self, "selection_", {}) if claims else {}))

    @classmethod
    def search_space(cls) -> Space:
        """Return the range of each parameter that a search tunes."""
        return {name: each.search for name, each in parameters_of(cls).items() if each.search is not None}

    @classmethod
    def from_paper(cls, setting: str, **changes: Any) -> Self:
        """Return the method with a published setting.

        Parameters
        ----------
        setting : str
            A key of ``published``, such as ``"waterbirds"``.
        **changes
            Parameters to set differently.

        Raises
        ------
        LongwayError
            If the paper has no such setting, or the method no such parameter.
        """
        if setting not in cls.published:
            hint = nearest(setting, cls.published) if cls.published else "it has none"
            raise LongwayError(f"{cls.__name__} has no published setting {setting!r}; {hint}")
        cls.check_names(changes)
        return cls(**{**cls.published[setting], **changes})

    @classmethod
    def check_names(cls, names: Iterable[str]) -> None:
        """Raise LongwayError for the first name that is not a parameter of this method."""
        known = cls._get_param_names()
        for name in names:
            if name not in known:
                raise LongwayError(f"{cls.__name__} has no parameter {name!r}; {nearest(name, known)}")

    def check(self) -> Self:
        """Raise LongwayError for the first parameter whose value cannot be used; return the method."""
        check_parameters(self)
        return self

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        eval_set: tuple[Any, ...] | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train on labelled data.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, c, h, w)
            Features or images; float16 and memory-mapped arrays are read in batches.
        y : array-like of shape (n,)
            Labels, strings or numbers.
        groups : array-like of shape (n,), optional
            Group of each training sample. Only methods whose ``supervision`` is ``train_groups`` use it.
        eval_set : (X, y) or (X, y, groups), optional
            Validation data for selection. Without it, ``validation_fraction`` of the training data is set aside.
        sample_weight : array-like of shape (n,), optional
            Non-negative weights.

        Returns
        -------
        self

        Raises
        ------
        LongwayError
            On input that cannot be used; the message names the argument.
        """
        self.check()
        inputs = self._check_inputs(X, reset=True)
        labels = check_labels(y, len(inputs))
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise LongwayError(
                f"y holds one class only ({self.classes_.tolist()[0]!r}): a classifier needs samples of two or more"
            )
        self.input_shape_ = inputs.shape[1:]
        rows = Samples(inputs, codes, check_weights(sample_weight, codes), check_groups(groups, len(inputs), "groups"))
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        rows, validation = self._allowed(rows, self._check_eval_set(eval_set))
        task = FitData(rows, len(self.classes_), validation, np.random.default_rng(seed))
        self.history_: list[dict[str, float]] = []
        self.selection_: dict[str, Any] = {}
        resolve_device(self.device)
        with seeded(seed), one_fit(type(self).__name__):
            self.module_ = self._fit(self._with_groups(task)).cpu().eval()
        self.supervision_ = self._supervision_used(task)
        return self

    @abstractmethod
    def _build(self, input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
        """Return an untrained network for data of this shape."""

    @abstractmethod
    def _fit(self, task: FitData) -> nn.Module:
        """Return the trained network; set ``history_`` and ``selection_``."""

    def _with_groups(self, task: FitData) -> FitData:
        """Return the task with the groups that this method trains on."""
        return task

    def _supervision_used(self, task: FitData) -> str:
        """Return the group labels that this fit used, given the task before any groups were inferred."""
        if task.rows.groups is not None:
            return "train_groups"
        with_groups = task.validation is not None and task.validation.groups is not None
        return "val_groups" if with_groups and self.selection_.get("rule") == "worst_group" else "none"

    def _allowed(self, rows: Samples, validation: Samples | None) -> tuple[Samples, Samples | None]:
        """Remove the groups that this method must not see."""
        if self.supervision != "train_groups":
            rows = rows.grouped(None)
        if validation is not None and self.selection not in ("auto", "worst_group", LAST):
            validation = validation.grouped(None)
        return rows, validation

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Return logits of shape (n, C); with two classes their difference, of shape (n,)."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return class probabilities of shape (n, C), columns as in ``classes_``."""
        return torch.from_numpy(self._logits(X)).softmax(1).numpy()

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return labels of shape (n,)."""
        codes = self._logits(X).argmax(1)
        return self.classes_[codes]

    def _logits(self, X: ArrayLike) -> np.ndarray:
        with own_torch_state():
            logits = predict_logits(self._fitted_module(), self._samples(X)).numpy()
        check_logits(logits, len(self.classes_))
        return logits

    def _fitted_module(self) -> nn.Module:
        check_is_fitted(self, "module_")
        return self.module_.to(resolve_device(self.device))

    def _samples(self, X: ArrayLike) -> Samples:
        """Wrap inputs without labels."""
        inputs = self._check_inputs(X, reset=False)
        return Samples(inputs, np.zeros(len(inputs), np.int64), np.ones(len(inputs)))

    def _check_inputs(self, X: Any, *, reset: bool, name: str = "X") -> np.ndarray:
        X = as_numpy(X)
        if self.takes_images and getattr(X, "ndim", 2) == 4:
            inputs = check_images(X, name)
            shape = inputs.shape[1:] if reset else self.input_shape_
            if inputs.shape[1:] != shape:
                raise LongwayError(f"{name} holds images of shape {inputs.shape[1:]}; this model was fitted on {shape}")
        else:
            if getattr(X, "ndim", 2) == 4:
                raise LongwayError(
                    f"{name} holds images of shape {X.shape[1:]}; {type(self).__name__} takes features (n, d): embed "
                    "them first, with longway.embed"
                )
            if not reset and len(self.input_shape_) == 3:
                raise LongwayError(f"{name} must hold images of shape {self.input_shape_}, got shape {np.shape(X)}")
            with one_line_errors(name):
                inputs = validate_data(
                    self, X, reset=reset, dtype=[np.float64, np.float32, np.float16], ensure_all_finite=False
                )
        check_finite(inputs, name)
        return inputs

    def _check_eval_set(self, eval_set: tuple[Any, ...] | None) -> Samples | None:
        if eval_set is None:
            return None
        if not isinstance(eval_set, tuple) or len(eval_set) not in (2, 3):
            raise LongwayError("eval_set must be a tuple (X, y) or (X, y, groups)")
        inputs = self._check_inputs(eval_set[0], reset=False, name="eval_set X")
        codes = encode_labels(check_labels(eval_set[1], len(inputs), "eval_set y"), self.classes_, "eval_set y")
        groups = check_groups(eval_set[2] if len(eval_set) == 3 else None, len(inputs), "eval_set groups")
        return Samples(inputs, codes, np.ones(len(inputs)), groups)
