"""Split texts of any script into words, and turn words into signals."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np

from longway.auditing.signals import Signal

MAX_WORDS = 300
"""The words of the most texts are tested, at most this many."""
MIN_COUNT = 5
"""A word is ignored if fewer texts than this hold it, or fewer lack it."""
UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f"  # Burmese
    "\u1780-\u17ff"  # Khmer
    "\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff"  # Japanese syllables
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Chinese characters
)
"""Scripts without spaces between words."""
FLAGS, TONES, JOINERS = "\U0001f1e6-\U0001f1ff", "\U0001f3fb-\U0001f3ff", "\u200c\u200d"
"""Letters that form flags in pairs; skin tones; characters that join emoji or separate letters of a word."""


def words_of(text: str) -> list[str]:
    """Split a text into lower-case words.

    Marks stay with their letter. A script without spaces is split into its characters and pairs of neighbours. An emoji
    is a word, with its skin tone and joined parts; so is a flag.

    Examples
    --------
    >>> words_of("Don't PANIC, Müller!")
    ["don't", 'panic', 'müller']
    >>> words_of("不好 ok")
    ['不', '好', '不好', 'ok']
    >>> words_of("हिन्दी, so nice👍🏽👍🏽")
    ['हिन्दी', 'so', 'nice', '👍🏽', '👍🏽']
    """
    whole, single = _patterns()
    found: list[str] = []
    for match in whole.finditer(unicodedata.normalize("NFC", text).lower().replace("\u2019", "'")):
        if match.lastgroup == "unspaced":
            characters = single.findall(match[0])
            found += [*characters, *(one + other for one, other in pairwise(characters))]
        else:
            found.append(match[0])
    return found


def quoted(word: str) -> str:
    """Return a word in quotes that it does not contain.

    Examples
    --------
    >>> print(quoted("don't"), quoted("do"))
    "don't" 'do'
    """
    return f'"{word}"' if "'" in word else f"'{word}'"


def word_signals(texts: Sequence[str]) -> list[Signal]:
    """Return an indicator of each word that many texts hold and some lack."""
    held = [set(words_of(text)) for text in texts]
    counts = Counter(word for words in held for word in words)
    most = len(texts) - MIN_COUNT
    frequent = sorted((w for w, k in counts.items() if MIN_COUNT <= k <= most), key=lambda w: (-counts[w], w))
    return [
        Signal(
            f"word {quoted(word)}",
            f"Whether the text holds the word {quoted(word)}.",
            "word",
            index,
            np.fromiter((word in words for words in held), np.float64, len(held)),
            cut=0.5,
        )
        for index, word in enumerate(frequent[:MAX_WORDS])
    ]


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return a pattern of words, runs of unspaced scripts and emoji, and one of a single unspaced character."""
    marks = _of_category("M") + JOINERS
    letters = rf"(?:(?:[a-z0-9]|(?![{UNSPACED}])[^\W_])[{marks}]*)+"
    character = rf"[{UNSPACED}][{marks}]*"
    emoji = rf"(?![{FLAGS}])[{_of_category('So')}][{marks}{TONES}]*"
    parts = {
        "word": rf"{letters}(?:'{letters})*",
        "unspaced": rf"(?:{character})+",
        "flag": rf"[{FLAGS}]{{1,2}}",
        "emoji": rf"{emoji}(?:(?<=\u200d){emoji})*",
    }
    return re.compile("|".join(rf"(?P<{name}>{part})" for name, part in parts.items())), re.compile(character)


def _of_category(start: str) -> str:
    """Return the ranges, for a character class, of all characters whose Unicode category starts with ``start``."""
    codes = [code for code in range(0x80, 0xE01F0) if unicodedata.category(chr(code)).startswith(start)]
    firsts = [code for code, before in zip(codes, [-1, *codes], strict=False) if code != before + 1]
    lasts = [code for code, after in zip(codes, [*codes[1:], -1], strict=True) if code != after - 1]
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in zip(firsts, lasts, strict=True))
