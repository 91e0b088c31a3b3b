"""What the figures in README and docs are made of: each block is a function from the records to Markdown."""

from __future__ import annotations

from collections.abc import Callable

from blocks.audit import audit, audit_fixes, audit_speed
from blocks.compare import catalogue, compared, reproduced
from blocks.demo import demo_groups, demo_table
from blocks.faces import celeba
from blocks.heads import hsfm_apart, hsfm_inner
from blocks.results import Results
from blocks.settings import HSFM_SYMBOLS, JTT_SYMBOLS, SITAR_SYMBOLS, settings
from blocks.speed import speed

BLOCKS: dict[str, Callable[[Results], str]] = {
    "demo-table": demo_table,
    "demo-groups": demo_groups,
    "celeba": celeba,
    "hsfm-inner": hsfm_inner,
    "hsfm-apart": hsfm_apart,
    "compare.catalogue": catalogue,
    "compare.results": compared,
    "compare.published": reproduced,
    "speed": speed,
    "audit": audit,
    "audit-fixes": lambda results: audit_fixes(results.audit_fixes),
    "audit-fixes-fresh": lambda results: audit_fixes(results.audit_fixes_fresh),
    "audit-speed": audit_speed,
    "sitar-settings": lambda _: settings("SITAR", SITAR_SYMBOLS),
    "hsfm-settings": lambda _: settings("HSFM", HSFM_SYMBOLS),
    "jtt-settings": lambda _: settings("JTT", JTT_SYMBOLS),
}
"""The blocks by name; each gets lines of its own."""
