import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import longway
from longway.auditing.words import words_of

SCIENTIST, THUMB, FLAG, KEYCAP = "👩\u200d🔬", "👍🏽", "🇩🇪", "1\ufe0f\u20e3"

CUTS = {
    "latin": ("Ça va? DON’T_stop", ["ça", "va", "don't", "stop"]),
    "marks apart": ("cafe\u0301", ["caf\u00e9"]),
    "hindi": ("मैं हिन्दी बोलता हूँ", ["मैं", "हिन्दी", "बोलता", "हूँ"]),
    "arabic": ("مَرحبًا، بالعالَم!", ["مَرحبًا", "بالعالَم"]),
    "persian": ("می\u200cخواهم", ["می\u200cخواهم"]),
    "korean": ("한국어 텍스트", ["한국어", "텍스트"]),
    "chinese": ("不好吃。", ["不", "好", "吃", "不好", "好吃"]),
    "japanese": ("とても良い", ["と", "て", "も", "良", "い", "とて", "ても", "も良", "良い"]),
    "thai": ("ดีครับ", ["ดี", "ค", "รั", "บ", "ดีค", "ครั", "รับ"]),
    "mixed": ("iPhone很好", ["iphone", "很", "好", "很好"]),
    "emoji": (f"ok{THUMB}{SCIENTIST}☀️ {FLAG}{FLAG}", ["ok", THUMB, SCIENTIST, "☀️", FLAG, FLAG]),
    "keycap": (KEYCAP, [KEYCAP]),
    "none": ("--- … ''", []),
}


@pytest.mark.parametrize("case", CUTS)
def test_words_of_a_script(case):
    text, words = CUTS[case]
    assert words_of(text) == words


@given(st.text())
def test_words_are_parts_of_the_text_and_stay_as_they_are(text):
    plain = unicodedata.normalize("NFC", text).lower().replace("’", "'")
    for word in words_of(text):
        assert word
        assert word in plain


TEXTS = {
    "chinese": (["电影", "昨天", "我们", "看了", "这部"], "真", "假", ""),
    "japanese": (["映画を", "昨日", "みんなで", "見た", "この"], "犬", "猫", ""),
    "thai": (["หนัง", "เมื่อวาน", "เรา", "ดู", "เรื่องนี้"], "แมว", "หมา", ""),
    "arabic": (["فيلم", "أمس", "نحن", "شاهدنا", "هذا"], "قطة", "كلب", " "),
    "emoji": (["film", "we", "saw", "it", "today"], "😀", "😡", " "),
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_word_that_goes_with_the_label_is_found_in_any_script(case):
    fill, one, other, space = TEXTS[case]
    generator = np.random.default_rng(0)
    y = np.tile([0, 1], 150)
    hint = np.where(generator.random(300) < 0.9, y, 1 - y)
    texts = [space.join([*generator.permutation(fill), one if each else other]) for each in hint]
    found = longway.audit(texts, y)
    words = [each for each in found.candidates if each.source == "word" and each.association.adjusted_p < 1e-6]
    assert {each.name for each in words} & {f"word '{one[:2]}'", f"word '{one}'", f"word '{other}'"}
    assert max(each.association.strength.value for each in words) > 0.7
    assert not any("\\" in each.name for each in words)
