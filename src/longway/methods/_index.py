"""An index of the registered methods, read from the sources so that no method has to be imported."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
_REGISTERED = re.compile(r"^@register\nclass (\w+)", re.MULTILINE)


@cache
def method_modules() -> dict[str, str]:
    """Return the module of each registered class by the name of the class, in alphabetical order.

    Examples
    --------
    >>> method_modules()["HSFM"]
    'longway.methods.hsfm.estimator'
    """
    found = {}
    for path in FOLDER.rglob("*.py"):
        if not path.name.startswith("_"):
            place = path.relative_to(FOLDER).with_suffix("").parts
            for name in _REGISTERED.findall(path.read_text(encoding="utf-8")):
                found[name] = ".".join(("longway", "methods", *place))
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))
