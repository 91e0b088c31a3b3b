"""What all tests share: no network, own caches, and the real data where they are present."""

from __future__ import annotations

import os
from pathlib import Path

# Before anything imports `datasets`: it reads these once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import pytest
import torch

# Two workers on two cores: threads within each would only fight.
torch.set_num_threads(1)

# Files whose tests take longer than a second or so each; all others are `quick`, and take less than a minute in all.
SLOW = {
    *("test_battery", "test_bad_input", "test_engine", "test_checkpoint", "test_distributed", "test_sitar"),
    *("test_infer", "test_consistent_errors", "test_recolouring", "test_purity", "test_embed", "test_images"),
    *("test_demo", "test_export", "test_docs", "test_contributing", "test_real_data", "test_texts", "test_main"),
}
SLOW_FOLDERS = {"cli", "explaining"}

SHARED_DATA = Path(os.environ.get("LONGWAY_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def pytest_configure(config: pytest.Config) -> None:
    """Let pass what `datasets` leaves behind: it reads the first rows of a metadata.csv and does not close the file."""
    line = r"ignore:Exception ignored in.*metadata\.csv:pytest.PytestUnraisableExceptionWarning"
    config.addinivalue_line("filterwarnings", line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that `make quick` runs."""
    for item in items:
        if item.path.stem not in SLOW and item.path.parent.name not in SLOW_FOLDERS:
            item.add_marker("quick")


@pytest.fixture(scope="session", autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Keep the caches of `datasets` and of Longway inside the tests' own folder."""
    import datasets

    root = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LONGWAY_CACHE", str(root / "longway"))
        patch.setenv("HF_DATASETS_CACHE", str(root / "datasets"))  # for processes that tests start
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", root / "datasets")
        yield root


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real data are not at {SHARED_DATA}; set LONGWAY_DATA to where they are")
    return SHARED_DATA
