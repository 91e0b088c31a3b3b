"""Blocks of README and docs: functions from the records to Markdown, and drawings to SVG."""

from __future__ import annotations

from collections.abc import Callable

from blocks.audit import audit, audit_fixes, audit_models, audit_speed
from blocks.compare import catalogue, choices, compared, reproduced
from blocks.curves import sitar_curves
from blocks.demo import demo_groups, demo_table
from blocks.faces import celeba
from blocks.heads import hsfm_apart, hsfm_draws, hsfm_inner, means
from blocks.methods import methods
from blocks.published import lff_epochs, unit_tests
from blocks.reference import reference
from blocks.results import Results
from blocks.scores import scores
from blocks.settings import HSFM_SYMBOLS, JTT_SYMBOLS, SITAR_SYMBOLS, settings
from blocks.sitar import sitar_ablations, sitar_choice
from blocks.speed import speed

BLOCKS: dict[str, Callable[[Results], str]] = {
    "demo-table": demo_table,
    "demo-groups": demo_groups,
    "celeba": celeba,
    "methods": methods,
    "reference": reference,
    "hsfm-inner": hsfm_inner,
    "hsfm-apart": hsfm_apart,
    "hsfm-draws": hsfm_draws,
    "heads-balanced": lambda results: means(results, "heads-balanced"),
    "heads-majority": lambda results: means(results, "heads-majority"),
    "compare.catalogue": catalogue,
    "compare.choices": choices,
    "compare.results": compared,
    "compare.published": reproduced,
    "speed": speed,
    "audit": audit,
    "audit-models": audit_models,
    "audit-fixes": lambda results: audit_fixes(results.audit_fixes),
    "audit-fixes-fresh": lambda results: audit_fixes(results.audit_fixes_fresh),
    "audit-speed": audit_speed,
    "scores": scores,
    "sitar-ablations": sitar_ablations,
    "sitar-choice": sitar_choice,
    "lff-epochs": lff_epochs,
    "unit-tests": unit_tests,
    "sitar-settings": lambda _: settings("SITAR", SITAR_SYMBOLS),
    "hsfm-settings": lambda _: settings("HSFM", HSFM_SYMBOLS),
    "jtt-settings": lambda _: settings("JTT", JTT_SYMBOLS),
}
"""The blocks by name; each gets lines of its own."""

DRAWINGS: dict[str, Callable[[Results], str | None]] = {
    "images/sitar-ablations.svg": sitar_curves,
}
"""The drawings by their file under docs/; None if there is no record."""
