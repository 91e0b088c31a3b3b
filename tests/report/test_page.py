import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure as MatplotlibFigure

from longway.report import (
    Callout,
    Column,
    Figure,
    ImageGrid,
    ImageRow,
    KeyFigure,
    KeyFigures,
    MeanStd,
    Page,
    Section,
    Tab,
    Table,
    Tabs,
    Text,
    figures,
)
from longway.utils.errors import LongwayError

HOSTILE = [
    "<script>alert(1)</script>",
    '"onload="alert(1)',
    "'><img src=x onerror=alert(1)>",
    "</script></style></svg><!-- -->",
    "{{ 7 * 7 }}{% raw %}",
    r"$x$ and $\frac{1}$ and $",
    "url(#clip) id=\"clip\" style='fill: #0072b2'",
    "😀 émoji & &amp; &lt;",
    "\u202eעברית العربية",
    "javascript:alert(1)",
]
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Document(HTMLParser):
    """Checks that tags balance, and keeps what the tests ask about."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    @property
    def visible(self) -> str:
        return " ".join(" ".join(self.text).split())

    def attributes(self, name: str) -> list[str | None]:
        return [attributes[name] for _, attributes in self.tags if name in attributes]


def bars(label="erm"):
    return figures.group_accuracy_bars({label: {"land": (0.9, 0.01), label: (0.4, 0.1)}})


def full_page(words="words"):
    images = np.random.default_rng(0).random((3, 3, 8, 8))
    history = {words: [{"epoch": 0, words: 0.5}, {"epoch": 1, words: 0.7}]}
    every = [
        Text(words),
        Callout(words, words, "good"),
        KeyFigures([KeyFigure(words, words, words, "bad")]),
        Table(
            [Column(words, words, ".1%", bar=True), words],
            [[0.5, words], [MeanStd(0.4, 0.1), words], [None, words]],
            words,
            highlight_rows={0},
            highlight_cells={(1, 1)},
        ),
        Figure(bars(words), words, words),
        Figure(figures.training_curves(history), words, words),
        Figure(figures.score_bars([0.1, 0.9], [words, "b"], xlabel=words), words, words),
        Figure(figures.traversal_grid(np.stack([images, images]), [0.1, 0.9], [words, "b"]), words, words),
        ImageGrid([ImageRow(words, images, [words] * 3, words)], words),
    ]
    sections = [Section(words, every, words), Section("tabs", [Tabs([Tab(words, every[:5]), Tab("b", [Text(words)])])])]
    return Page(words, words, [*sections, Section("empty")], {words: words}, words)


def test_the_same_page_gives_the_same_html():
    assert full_page().render() == full_page().render()


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_text_stays_text(words):
    plain, hostile = Document(full_page("words").render()), Document(full_page(words).render())
    # The same elements with the same attribute names: nothing broke out.
    assert [(tag, list(attributes)) for tag, attributes in hostile.tags] == [
        (tag, list(attributes)) for tag, attributes in plain.tags
    ]
    shown = " ".join(words.split())
    assert hostile.visible.count(shown) >= 25
    assert words in hostile.attributes("alt")
    assert words in hostile.attributes("aria-label")
    if "49" not in words:
        assert "49" not in re.findall(r"\b49\b(?![^<]*</svg>)", hostile.visible)


def test_dollars_in_figures_are_text():
    html = Page("t", sections=[Section("s", [Figure(bars("$a_1$"), "bars")])]).render()
    assert html.count("$a_1$") >= 2


def test_nothing_is_loaded_from_anywhere():
    html = full_page().render()
    document = Document(html)
    outside = re.sub(r'\sxmlns(:xlink)?="http://www\.w3\.org/[^"]*"', "", html)
    assert not re.search(r"https?:|//cdn|@import|url\((?!#)", outside)
    for name in ("src", "href", "xlink:href"):
        assert all(value.startswith(("data:", "#")) for value in document.attributes(name))
    policy = next(value for value in document.attributes("content") if "default-src" in value)
    assert "default-src 'none'" in policy
    assert sum(tag == "script" for tag, _ in document.tags) == 1
    assert not [name for _, attributes in document.tags for name in attributes if name.startswith("on")]


def test_ids_are_unique_and_references_resolve():
    html = full_page().render()
    document = Document(html)
    ids = document.attributes("id")
    assert len(ids) == len(set(ids))
    links = [value[1:] for name in ("href", "xlink:href") for value in document.attributes(name) if value[0] == "#"]
    links += re.findall(r"url\(#([^)]*)\)", html)
    links += document.attributes("aria-controls") + document.attributes("aria-labelledby")
    assert links
    assert set(links) <= set(ids)


def test_figures_take_the_colours_of_the_page():
    html = Page("t", sections=[Section("s", [Figure(bars(), "bars")])]).render()
    drawing = html[html.index('<svg role="img"') : html.rindex("</svg>")]
    assert "var(--series-1)" in drawing
    assert not re.findall(r"#[0-9a-f]{6}\b", drawing)
    assert "<style" not in drawing
    assert "DejaVu" not in drawing


def test_table_formats_and_sort_keys():
    table = Table(
        ["name", Column("share", "What share", ".1%"), "count", "flag"],
        [
            ["a", MeanStd(0.812, 0.013), 1_234_567, True],
            ["b", -0.05, np.int64(3), np.False_],
            ["c", np.nan, None, None],
        ],
    )
    rows = [[cell.text for cell in cells] for _, cells in table.cells]
    assert rows == [["a", "81.2 ± 1.3%", "1,234,567", "yes"], ["b", "−5.0%", "3", "no"], ["c", "–", "–", "–"]]
    assert table.numeric == [False, True, True, False]
    html = Page("t", sections=[Section("s", [table])]).render()
    assert Document(html).attributes("data-number") == ["0.812", "1234567.0", "-0.05", "3.0"]
    assert "What share" in html


@pytest.mark.parametrize(
    ("value", "text"),
    [(MeanStd(0.5, float("nan")), "0.5"), (MeanStd(12.25, 0.5), "12.2 ± 0.5"), (float("inf"), "inf"), (1e-9, "1e−09")],
)
def test_cell_text(value, text):
    ((_, (cell,)),) = Table(["x"], [[value]]).cells
    assert cell.text == text


BAD_INPUT = {
    "short row": (lambda: Table(["a", "b"], [[1]]), "row 0 has 1 cells but the table has 2 columns"),
    "format": (lambda: Column("a", format="%d"), "column 'a' has format '%d'"),
    "tone": (lambda: Callout("a", tone="red"), "tone is 'red'"),
    "captions": (lambda: ImageRow("a", np.zeros((2, 8, 8, 3)), ["one"]), "captions has 1 entries for 2 images"),
    "image shape": (lambda: ImageRow("a", np.zeros((2, 8, 8, 4))), r"images has shape \(2, 8, 8, 4\)"),
    "image range": (lambda: ImageRow("a", np.full((2, 8, 8, 3), 255.0)), "images ranges from 255 to 255"),
    "image nan": (lambda: ImageRow("a", np.full((2, 8, 8, 3), np.nan)), "images ranges from nan"),
    "image type": (lambda: ImageRow("a", np.zeros((2, 8, 8, 3), int)), "images has type int64"),
    "block": (lambda: Page("t", sections=[Section("s", ["words"])]).render(), "section 's' holds a str"),
    "nested block": (lambda: Tabs([Tab("t", [1])]), "tab 't' holds a int"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input(case):
    build, message = BAD_INPUT[case]
    with pytest.raises(LongwayError, match=message):
        build()


def test_images_keep_their_pixels_and_large_ones_their_size_in_check():
    rng = np.random.default_rng(0)
    tiny = rng.integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
    ((uri, _, alt, is_tiny),) = ImageGrid([ImageRow("zeros", tiny)]).pictures(ImageRow("zeros", tiny))
    assert uri.startswith("data:image/png;base64,")
    assert (alt, is_tiny) == ("zeros, image 1", True)
    large = rng.random((40, 3, 500, 400), dtype=np.float32)
    html = Page("t", sections=[Section("s", [ImageGrid([ImageRow("noise", large)])])]).render()
    assert "data:image/jpeg" in html
    assert len(html) < 1_500_000


def test_an_ordinary_report_is_small():
    assert len(full_page().render()) < 400_000


def test_save_replaces_whole_files_only(tmp_path, monkeypatch):
    path = tmp_path / "new folder" / "report.html"
    page = Page("surrogate \udcff", sections=[Section("s", [Figure(bars("\udcff"), "bars")])])
    assert page.save(path) == path
    before = path.read_bytes()
    monkeypatch.setattr("longway.utils.storage.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(LongwayError, match=r"no space left to write .*free some space"):
        Page("new").save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_save_to_a_folder_is_a_clear_error(tmp_path):
    with pytest.raises(LongwayError, match=r"cannot write .* \(Is a directory\): choose another path"):
        Page("t").save(tmp_path)
    assert list(tmp_path.parent.glob(".*partial*")) == []


def test_any_matplotlib_figure_will_do():
    drawing = MatplotlibFigure()
    axes = drawing.subplots()
    axes.plot([1, 2], label="😀 $x$")
    axes.set_title("</text> 漢字")
    axes.legend()
    html = Page("t", sections=[Section("s", [Figure(drawing, "alt")])]).render()
    Document(html)
    assert "😀 $x$" in html
    assert "&lt;/text&gt; 漢字" in html
