"""How a method declares its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(kw_only_default=True, eq_default=False)
def parameters(method: type[_T]) -> type[_T]:
    """Make a method's annotated attributes the parameters of its ``__init__``, after those of the class it extends.

    All are keyword-only and stored as they are given, which is what scikit-learn asks of an estimator. A parameter of
    the extended class that is named again has another default here.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> @parameters
    ... class Ridge(BaseEstimator):
    ...     strength: float = 1.0
    ...     epochs: int = 20
    >>> @parameters
    ... class Slow(Ridge):
    ...     epochs: int = 200
    ...     patience: int = 3
    >>> Slow(strength=2.0).get_params()
    {'epochs': 200, 'patience': 3, 'strength': 2.0}
    """
    return dataclass(kw_only=True, eq=False, repr=False)(method)
