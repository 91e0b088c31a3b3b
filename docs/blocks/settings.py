"""A method's parameters: symbols, defaults, and published settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blocks.text import table

SITAR_SYMBOLS = {
    "latent_dim": "d",
    "noise_scale": "α",
    "beta": "β",
    "consistency_weight": "λ",
    "reconstruction": "",
    "channels": "",
    "heads": "",
    "epochs": "",
    "batch_size": "",
    "learning_rate": "",
    "selection": "",
}
HSFM_SYMBOLS = {
    "variant": "",
    "n_support": "n",
    "n_hard": "K",
    "inner_steps": "T",
    "inner_rate": "α",
    "outer_rate": "η",
    "outer_steps": "K_H",
    "epochs": "",
    "l2": "",
    "selection": "",
}
JTT_SYMBOLS = {
    "first_epochs": "T",
    "upweight": "λ",
    "copies": "",
    "optimizer": "",
    "momentum": "",
    "batch_size": "",
    "learning_rate": "",
    "weight_decay": "",
    "epochs": "",
    "first_l2": "",
    "l2": "",
    "selection": "",
}


def settings(method: str, symbols: Mapping[str, str]) -> str:
    """Return a method's parameters: the paper's symbol, the default, and each published setting."""
    import longway

    cls = getattr(longway, method)
    defaults = cls().get_params()
    columns = ["Parameter", "Symbol", "Default", *(f"`{name}`" for name in cls.published)]
    rows = [
        [f"`{name}`", symbol, _value(defaults[name])]
        + [_value(published[name]) if name in published else "" for published in cls.published.values()]
        for name, symbol in symbols.items()
    ]
    return table(columns, rows)


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
