"""Hyper-parameter search: settings drawn at random beforehand, or proposed by Optuna from earlier results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from longway.bench.plan import Cell, Plan
from longway.bench.records import score
from longway.bench.spec import TrialSpec
from longway.bench.store import Store
from longway.methods._search_space import Categorical, Integer, SearchRange
from longway.utils.errors import LongwayError
from longway.utils.storage import hash_json


def next_trials(plan: Plan, cell: Cell, done: int, store: Store) -> list[TrialSpec]:
    """Return the trials of a cell that can start once ``done`` have ended; none if the budget is spent.

    Under random search all of them can start at once. Optuna proposes one at a time, and learns from the earlier ones
    from their records: they are its storage, so that an interrupted search goes on as if nothing had been.
    """
    if plan.search == "random" or not cell.entry.space:
        return plan.trials(cell) if done == 0 else []
    if done >= plan.draws:
        return []
    return [plan.trial(cell, parameters) for parameters in _proposed(plan, cell, done + 1, store)[done:]]


def all_trials(plan: Plan, cell: Cell, store: Store) -> list[TrialSpec]:
    """Return the known trials of a cell in the order in which they started."""
    if plan.search == "random" or not cell.entry.space:
        return plan.trials(cell)
    return [plan.trial(cell, parameters) for parameters in _proposed(plan, cell, plan.draws, store)]


def _proposed(plan: Plan, cell: Cell, wanted: int, store: Store) -> list[Mapping[str, Any]]:
    """Return the settings of the first trials; each depends on the records of the earlier ones."""
    settings: list[Mapping[str, Any]] = [cell.entry.drawn(0)]
    if wanted == 1:
        return settings
    optuna = _optuna()
    distributions = {name: _distribution(optuna, space) for name, space in sorted(cell.entry.space.items())}
    seed = int(hash_json([cell.data.key, cell.protocol.to_dict(), cell.entry.method, cell.seed])[:7], 16)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=4))
    asked = None
    while len(settings) < wanted:
        key = plan.trial(cell, settings[-1]).key
        if not store.has("trials", key):
            break
        value = score(store.read("trials", key), cell.protocol)
        if asked is not None:  # the defaults need not lie in the space, and then Optuna cannot take them
            study.tell(asked, value, state=None if value is not None else optuna.trial.TrialState.FAIL)
        asked = study.ask(distributions)
        settings.append({**cell.entry.parameters, **asked.params})
    return settings


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise LongwayError("search='optuna' needs optuna: pip install 'longway[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _distribution(optuna: Any, space: SearchRange) -> Any:
    if isinstance(space, Categorical):
        return optuna.distributions.CategoricalDistribution(space.options)
    if isinstance(space, Integer):
        return optuna.distributions.IntDistribution(int(space.low), int(space.high), log=space.log)
    return optuna.distributions.FloatDistribution(space.low, space.high, log=space.log)
