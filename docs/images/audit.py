"""Draw audit-signal.png: a signal in the report of an audit.

Run as ``python docs/images/audit.py``; it audits 1,200 training images of the demonstration and needs Playwright and
Chromium.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from playwright.sync_api import sync_playwright

import longway
from longway.auditing.page import audit_page
from longway.datasets import make_coloured_digits

FILE = Path(__file__).with_name("audit-signal.png")
IMAGES = 1200
NAMES = np.array(["0-4", "5-9"])
WIDTH, EDGE = 900, 16


def main() -> None:
    """Audit the images and take a screenshot of a part of the page."""
    torch.set_num_threads(1)
    data = make_coloured_digits(seed=100)["train"]
    rows = np.random.default_rng(0).permutation(len(data.X))[:IMAGES]
    found = longway.audit(data.X[rows], NAMES[data.y[rows]], source="coloured-digits")
    with tempfile.TemporaryDirectory() as folder:
        page = audit_page(found, data.X[rows]).save(Path(folder) / "report.html")
        shoot(page)


def shoot(file: Path) -> None:
    """Take a screenshot of the first signal, down to its samples."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": WIDTH, "height": 900})
        page.goto(file.as_uri())
        top = page.locator(".tab-list").first.bounding_box()
        samples = page.locator(".tab-panel .images").first.bounding_box()
        assert top is not None
        assert samples is not None
        height = samples["y"] + samples["height"] - top["y"] + 2 * EDGE
        clip = {"x": 0, "y": top["y"] - EDGE, "width": WIDTH, "height": height}
        page.screenshot(path=FILE, full_page=True, clip=clip)
        chromium.close()
    smaller(FILE)


def smaller(file: Path) -> None:
    """Reduce a picture to few colours."""
    with Image.open(file) as image:
        few = image.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    few.save(file, optimize=True)


if __name__ == "__main__":
    main()
