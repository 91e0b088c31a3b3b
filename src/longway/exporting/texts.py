"""Tokenization by the record of an exported file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from longway.backbones.adapter import import_optional
from longway.utils.errors import LongwayError


def describe_tokenizer(tokenizer: Any, max_length: int | None, name: str) -> dict[str, Any]:
    """Return the rules, maximum length and padding of a tokenizer, ready for JSON.

    Raises
    ------
    LongwayError
        Its rules are code rather than data.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or getattr(tokenizer, "padding_side", "right") != "right":
        raise LongwayError(
            f"the tokenizer of backbone {name} cannot be written to a file: leave out backbone= to export the head "
            "alone, which takes features"
        )
    length = None if max_length is None or max_length >= 2**31 else int(max_length)
    return {"rules": backend.to_str(), "max_length": length, "pad": int(tokenizer.pad_token_id or 0)}


def make_tokenizer(record: dict[str, Any]) -> Callable[[list[str]], dict[str, np.ndarray]]:
    """Return a function from texts to the graph's inputs ``input_ids`` and ``attention_mask``, each (N, t)."""
    package = import_optional("tokenizers", "'longway[hf]'", "an exported model of texts")
    tokenizer = package.Tokenizer.from_str(record["rules"])
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if record["max_length"] is not None:
        tokenizer.enable_truncation(record["max_length"])

    def tokens(texts: list[str]) -> dict[str, np.ndarray]:
        found = [entry.ids for entry in tokenizer.encode_batch(texts)]
        width = max(2, *map(len, found))  # no shorter: a graph's axis of one is not an axis of any size
        ids = np.full((len(found), width), record["pad"], np.int64)
        mask = np.zeros((len(found), width), np.int64)
        for row, entry in enumerate(found):
            ids[row, : len(entry)], mask[row, : len(entry)] = entry, 1
        return {"input_ids": ids, "attention_mask": mask}

    return tokens
