import json
from dataclasses import replace

import numpy as np
import pytest
from auditing.made_audit import N, audit, candidate, clean
from PIL import Image
from report.test_page import HOSTILE, Document

from longway.auditing._page_compare import changes_page
from longway.auditing.compare import compare_audits
from longway.auditing.page import audit_page, write_audit
from longway.report import Table
from longway.utils.errors import LongwayError


def text(page):
    return Document(page.render()).visible


@pytest.fixture(scope="module")
def plain():
    return Document(audit_page(audit()).render())


def test_the_answer_comes_first(plain):
    shown = plain.visible
    order = ["Strong evidence of a shortcut", "To try: RWG", "The most suspicious signals", "put to the test", "Row"]
    assert sorted(order, key=shown.index) == order
    for figure in (
        "0.90",
        "40.0%",
        "+20.0",
        "59",
        "longway.RWG().fit(X, y, groups=audit.pseudo_groups('place = sea'))",
    ):
        assert figure in shown
    assert "1 confirmed" in shown
    assert "2 inputs could not be read" in shown


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_text_stays_text(words, plain):
    words = " ".join(words.split())
    hostile = Document(audit_page(audit(words)).render())
    assert [(tag, list(attributes)) for tag, attributes in hostile.tags] == [
        (tag, list(attributes)) for tag, attributes in plain.tags
    ]
    assert hostile.visible.count(words) >= 20
    assert any(words in tip for tip in hostile.attributes("data-tip"))


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_text_stays_text_in_a_comparison(words):
    own = audit(words)
    assert text(changes_page(compare_audits(own, own))).count(" ".join(words.split())) >= 5


def test_a_clean_audit_says_so():
    shown = text(audit_page(clean()))
    assert "No evidence of a shortcut" in shown
    assert "To try" not in shown
    assert "none was put to the test" in shown


def test_an_audit_of_nothing_can_be_drawn():
    shown = text(audit_page(replace(clean(), candidates=(), columns=(), assumptions=(), settings={})))
    assert "nothing could be tested" in shown


def test_unknown_figures_are_dashes():
    used = replace(candidate().reliance, flip_rate=None, shuffled_accuracy=None, how="predictions")
    nothing = replace(candidate(), values=np.full(N, np.nan), reliance=used)
    assert "only given predictions were used" in text(audit_page(audit(candidates=(nothing,))))


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 28, 28), (3, 40, 90)])
def test_images_are_shown(shape):
    images = np.random.default_rng(0).random((N, *shape), dtype=np.float32)
    leading = candidate(traversal=np.random.default_rng(1).random((5, *shape)))
    found = audit(kind="images", images=images, candidates=(leading,))
    document = Document(audit_page(found).render())
    alternatives = document.attributes("alt")
    assert len(alternatives) == 6 + 6 + 5 + 5
    assert "place = sea, called land · place = sea 0" in alternatives
    assert "From low to high" in document.visible


def test_originals_are_shown_where_they_are_given():
    class Files:
        def __len__(self):
            return N + 2

        def __getitem__(self, position):
            if position == 3:
                raise LongwayError("damaged")
            return Image.new("RGB", (300, 200), (position, 0, 0))

    small = np.zeros((N, 3, 4, 4), np.float32)
    found = audit(kind="images", images=small, rows=np.arange(N) + 2)
    assert "data:image/jpeg" in audit_page(found, Files()).render()
    assert "data:image/jpeg" not in audit_page(found).render()


def test_texts_are_shown_where_they_are_given():
    texts = [f"the words of row {row} " + "and on " * 200 for row in range(N + 2)]
    shown = text(audit_page(audit(kind="texts", rows=np.arange(N) + 2), texts))
    assert "the words of row 2 " in shown
    assert "the words of row 0 " not in shown
    assert "and on " * 60 not in shown


def test_other_inputs_are_refused():
    with pytest.raises(LongwayError, match="inputs has 3 rows, the audit was given 62"):
        audit_page(audit(), ["a", "b", "c"])


def test_the_page_stays_small_whatever_the_data():
    generator = np.random.default_rng(0)
    images = generator.random((N, 3, 256, 256), dtype=np.float32)
    long = "x " * 300_000
    many = tuple(candidate(f"{k} {long}", traversal=generator.random((40, 3, 64, 64))) for k in range(40))
    slices = tuple(replace(audit().slices[0], description=f"{k} {long}") for k in range(30))
    found = audit(kind="images", images=images, candidates=many, slices=slices, notes=(long,) * 500)
    assert len(audit_page(found).render().encode()) < 10 * 2**20


def test_the_record_is_written_with_the_page(tmp_path):
    found = audit()
    page = write_audit(found, tmp_path / "new")
    assert page == tmp_path / "new" / "report.html"
    record = json.loads((tmp_path / "new" / "audit.json").read_text(encoding="utf-8"))
    assert record == json.loads(json.dumps(found.to_dict()))
    before = page.read_bytes()
    assert write_audit(found, tmp_path / "new").read_bytes() == before


def test_tables_hold_every_candidate_and_slice():
    sections = {section.title: section for section in audit_page(audit()).sections}
    (signals,) = [block for block in sections["Signals"].blocks if isinstance(block, Table)]
    (slices,) = [block for block in sections["Whom it fails"].blocks if isinstance(block, Table)]
    assert (len(signals.rows), len(slices.rows)) == (2, 2)
