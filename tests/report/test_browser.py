"""Reports in a real browser: they render in silence, load nothing, and answer to pointer and keyboard."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from auditing.made_audit import N, audit, candidate
from explaining.made_explanation import explanation

from longway.auditing._page_compare import changes_page
from longway.auditing.compare import compare_audits
from longway.auditing.page import audit_page
from longway.explaining.page import explanation_page
from longway.metrics.group_metrics import evaluate_groups
from longway.metrics.page import evaluation_page
from longway.report import Code, Figure, Page, Section, Tab, Tabs, Text, figures

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if BROWSER is None:
    pytest.skip("there is no Chromium on this machine", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")

HOSTILE = '<script>window.hacked = 1</script>"\'><img src=x onerror="window.hacked = 1"><b>{{ 7 * 7 }}</b> ünï 鳥'


def hostile_audit():
    generator = np.random.default_rng(0)
    images = generator.random((N, 3, 12, 12), dtype=np.float32)
    first = candidate(HOSTILE, traversal=generator.random((7, 3, 12, 12)), values=generator.normal(size=N))
    others = tuple(candidate(f"axis {k}", source="axis", suspicion=(7 - k) / 10) for k in range(30))
    return audit(HOSTILE, kind="images", images=images, candidates=(first, *others))


def evaluation():
    y = np.tile(["cow", HOSTILE], 40)
    groups = np.repeat(["grass", "sand"], 40)
    return evaluation_page(evaluate_groups(y, np.roll(y, 3 * (np.arange(80) % 3)), groups), HOSTILE, {"Model": HOSTILE})


def curves():
    history = {HOSTILE: [{"epoch": epoch, "loss": 1 / (1 + epoch)} for epoch in range(60)]}
    scores = figures.score_bars([0.1, 0.8], [HOSTILE, "b"])
    blocks = [Figure(figures.training_curves(history), "curves"), Figure(scores, "scores"), Code("longway demo")]
    return Page("Curves", sections=[Section("One", blocks), Section("Two", [Tabs([Tab("a", [Text("b")])])])])


PAGES = {
    "audit": lambda: audit_page(hostile_audit()),
    "changes": lambda: changes_page(compare_audits(hostile_audit(), replace(hostile_audit(), slices=()))),
    "evaluation": evaluation,
    "curves": curves,
    "explanation": lambda: explanation_page(explanation(HOSTILE)),
}


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    return {name: make().save(folder / f"{name}.html") for name, make in PAGES.items()}


class Shown:
    """A page in the browser, with all that it complained of and asked for."""

    def __init__(self, chromium, file, width, scheme):
        self.complaints, self.requests = [], []
        context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        self.page = context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())


@pytest.fixture
def show(chromium, files):
    opened = []

    def show(name, width=1280, scheme="light"):
        opened.append(Shown(chromium, files[name], width, scheme))
        return opened[-1].page

    show.opened = opened
    yield show
    for each in opened:
        each.page.context.close()
        assert each.complaints == []
        assert [url for url in each.requests[1:] if not url.startswith("data:")] == []


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (375, "dark")])
def test_a_page_renders_in_silence_and_fits(show, name, width, scheme):
    page = show(name, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("window.hacked") is None
    assert page.locator("script").count() == 1
    assert page.locator("main img[src=x], main b").count() == 0
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red, *_ = map(int, re.findall(r"\d+", background))
    assert (red < 60) == (scheme == "dark")


def test_hostile_names_stay_text(show):
    page = show("audit")
    assert (
        page.title() == "Audit of " + " ".join(HOSTILE.split())[-len(page.title()) + 9 :] or HOSTILE in page.content()
    )
    words = page.evaluate("document.body.textContent")
    assert words.count("<script>window.hacked = 1</script>") > 20
    assert "49" not in re.findall(r"<b>(.*?)</b>", words)


def column(page, name):
    """Return the heading of a column of the first table, and a function that reads its cells."""
    table = page.locator("table").first
    names = [each.strip() for each in table.locator("th").all_inner_texts()]
    place = names.index(name)
    return table.locator("th").nth(place), lambda: table.locator(f"td:nth-child({place + 1})").all_inner_texts()


def test_tables_sort_by_pointer_and_keyboard(show):
    page = show("audit")
    heading, cells = column(page, "Suspicion")
    heading.locator("button").click()
    falling = [float(cell.replace("−", "-")) for cell in cells()]
    assert heading.get_attribute("aria-sort") == "descending"
    assert falling == sorted(falling, reverse=True)
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    rising = [float(cell.replace("−", "-")) for cell in cells()]
    assert heading.get_attribute("aria-sort") == "ascending"
    assert rising == sorted(rising) != falling


def test_a_long_tables_headings_stay(show):
    page = show("audit")
    box = page.locator(".table .tall").first
    box.evaluate("box => box.scrollTop = 400")
    top = box.locator("th").first.bounding_box()["y"]
    assert abs(top - box.bounding_box()["y"]) <= 2


def test_tabs_by_pointer_and_keyboard(show):
    page = show("audit")
    tabs = page.locator("[role=tablist]").first.locator("[role=tab]")
    panels = page.locator(".tabs").first.locator(":scope > .tab-panel")
    assert panels.nth(0).is_visible()
    tabs.nth(2).click()
    assert [panel.is_visible() for panel in panels.all()] == [k == 2 for k in range(tabs.count())]
    page.keyboard.press("ArrowRight")
    assert panels.nth(3).is_visible()
    page.keyboard.press("Home")
    assert panels.nth(0).is_visible()
    assert tabs.nth(0).get_attribute("aria-selected") == "true"


@pytest.mark.parametrize("name", PAGES)
def test_marks_answer_to_the_pointer(show, name):
    page = show(name)
    bubble = page.locator(".tip")
    assert bubble.is_hidden()
    mark = page.locator("[data-tip]").first
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert bubble.is_visible()
    assert bubble.inner_text().split() == mark.get_attribute("data-tip").split()
    page.mouse.move(1, 1)
    assert bubble.is_hidden()


@pytest.mark.parametrize("width", [375, 1280])
def test_marks_answer_to_the_keyboard(show, width):
    page = show("audit", width)
    plot = page.locator(".plot > .scroll").first
    marks = plot.locator("[data-tip]")
    page.locator(".plot").first.evaluate("plot => plot.previousElementSibling?.scrollIntoView()")
    for _ in range(60):
        page.keyboard.press("Tab")
        if plot.evaluate("plot => plot === document.activeElement"):
            break
    bubble = page.locator(".tip")
    assert bubble.is_visible()
    assert bubble.inner_text().split() == marks.nth(0).get_attribute("data-tip").split()
    page.keyboard.press("ArrowDown")
    assert bubble.inner_text().split() == marks.nth(1).get_attribute("data-tip").split()
    page.keyboard.press("End")
    assert bubble.inner_text().split() == marks.last.get_attribute("data-tip").split()
    box = bubble.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    page.keyboard.press("Escape")
    assert bubble.is_hidden()


def test_a_line_is_copied(show):
    page = show("curves")
    button = page.locator(".code button")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button.click()
    sync_api.expect(button).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "longway demo"


def test_without_the_clipboard_the_line_is_selected(show):
    page = show("curves")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    button = page.locator(".code button")
    button.click()
    sync_api.expect(button).to_have_text("Selected")
    assert page.evaluate("getSelection().toString()") == "longway demo"


def test_everything_can_be_reached_and_is_seen_with_the_keyboard(show):
    page = show("audit")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    seen = set()
    for _ in range(150):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate("document.activeElement.closest('nav, th, .scroll, [role=tab], .code, summary')?.tagName")
        )
    assert {"NAV", "TH", "DIV", "BUTTON", "SUMMARY"} <= seen


def test_without_javascript_all_panels_are_shown(chromium, files):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(files["audit"].as_uri())
    assert all(panel.is_visible() for panel in page.locator(".tab-panel").all())
    assert page.locator(".code button").first.is_hidden()
    context.close()
