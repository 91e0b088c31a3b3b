"""Render the advice of an audit or an explanation as command lines."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from longway.auditing import Audit, Candidate
from longway.auditing.findings import Advice
from longway.cli._options import DataOptions
from longway.explaining import Explanation

AUDIT_FOLDER = Path("longway-audit")
"""The default folder that an audit writes to and a fit reads from."""


def audit_with_commands(found: Audit, folder: Path | None, data: Sequence[str]) -> Audit:
    """Fill in the commands of an audit.

    Parameters
    ----------
    found : Audit
    folder : Path or None
        Where the audit writes its sides, if a fit finds its samples among them.
    data : sequence of str
        Options that the data were read with.
    """
    elsewhere = [] if folder in (None, AUDIT_FOLDER) else ["--audit", str(folder)]

    def command(each: Candidate) -> str:
        if each.advice.columns:
            groups = [word for column in each.advice.columns for word in ("--attribute", column)]
            return _fit(each.advice, found.source, [*groups, "--use-groups", "train", *data])
        if folder is not None:
            sides = ["--signal", each.name, "--use-groups", "train", *elsewhere]
            return _fit(each.advice, found.source, [*sides, *data])
        return _fit(each.advice, found.source, [*_settings(each.advice), *data])

    candidates = tuple(replace(each, command=command(each)) for each in found.candidates)
    first = next((each.command for each in candidates if each.name == found.verdict.signal), "")
    return replace(found, candidates=candidates, verdict=replace(found.verdict, command=first))


def explanation_with_commands(found: Explanation, data: Sequence[str]) -> Explanation:
    """Fill in the commands of an explanation's axes; ``data`` are the options that the data were read with."""
    axes = tuple(
        each
        if each.advice is None
        else replace(each, command=_fit(each.advice, found.source, [*_settings(each.advice), *data]))
        for each in found.axes
    )
    return replace(found, axes=axes)


def data_words(options: DataOptions, backbone: str | None, kind: str) -> list[str]:
    """Return the options that data of a kind were read with, as words of a command."""
    words: list[str] = []
    for option, value in {
        "--label": options.label,
        "--split": options.split,
        "--split-by": options.split_by,
        "--fractions": None if options.fractions == DataOptions.fractions else options.fractions,
        "--split-seed": str(options.split_seed) if options.split_seed else None,
        "--input": options.input,
        "--hf-config": options.hf_config,
        "--hf-split": options.hf_split,
        "--backbone": backbone or (None if kind == "features" else "FILE.py:FUNCTION"),
    }.items():
        for each in [value] if isinstance(value, str) else value or []:
            words += [option, each]
    return words


def _fit(advice: Advice, source: str, options: Sequence[str]) -> str:
    return shlex.join(["longway", "fit", advice.method, source, *options])


def _settings(advice: Advice) -> list[str]:
    """Return the parameters of a fit as options."""
    words = []
    for name, value in advice.settings.items():
        text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        words += ["--set", f"{name}={text}"]
    return words
