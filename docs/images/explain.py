"""Draw explain.png: Grad-CAM of an ordinary network and SITAR on coloured digits.

Run as ``python docs/images/explain.py``; it trains both for a few epochs and needs Playwright and Chromium.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from audit import EDGE, WIDTH, smaller
from playwright.sync_api import sync_playwright

from longway import ERM, SITAR, explain
from longway.datasets import make_coloured_digits
from longway.explaining.page import explanation_page

FILE = Path(__file__).with_name("explain.png")
NAMES = np.array(["0-4", "5-9"])


def main() -> None:
    """Train the networks, explain them on digits whose colour misleads, and take a screenshot of the page."""
    torch.set_num_threads(1)
    data = make_coloured_digits(seed=100)
    train, val, test = data["train"], data["val"], data["ood"]
    networks = [ERM(epochs=10, batch_size=64), SITAR(epochs=8, batch_size=64)]
    for network in networks:
        network.fit(train.X, NAMES[train.y], eval_set=(val.X, NAMES[val.y]))
    found = explain(networks[1], test.X, NAMES[test.y], beside=networks[0], n_examples=4, source="coloured-digits")
    with tempfile.TemporaryDirectory() as folder:
        shoot(explanation_page(found).save(Path(folder) / "explanation.html"))


def shoot(file: Path) -> None:
    """Take a screenshot of the images and their Grad-CAM."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": WIDTH, "height": 900})
        page.goto(file.as_uri())
        box = page.get_by_role("heading", name="Where it looks").locator("xpath=..").bounding_box()
        assert box is not None
        clip = {"x": 0, "y": box["y"], "width": WIDTH, "height": box["height"] + EDGE}
        page.screenshot(path=FILE, full_page=True, clip=clip)
        chromium.close()
    smaller(FILE)


if __name__ == "__main__":
    main()
