import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from joblib import Parallel, delayed

from longway.bench.workers import settle


def _frozen() -> int:
    import gc

    settle()
    return gc.get_freeze_count()


def test_a_workers_modules_are_out_of_the_collectors_sight():
    assert Parallel(n_jobs=2, backend="loky")(delayed(_frozen)() for _ in range(1))[0] > 1000


def test_the_users_own_process_is_left_alone():
    code = "import gc; from longway.bench.workers import settle; settle(); print(gc.get_freeze_count())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "0\n"


PARENT = """
import os, sys, time
from longway.bench.engine import Engine

def task(folder, seconds):
    with open(f"{folder}/{os.getpid()}", "w"):
        pass
    time.sleep(seconds)
    return "done"

if __name__ == "__main__":
    Engine(jobs=2, verbose=0).map(task, [(sys.argv[1], 100)] * 2, "")
"""


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
def test_workers_end_with_their_parent(tmp_path):
    (tmp_path / "script.py").write_text(PARENT)
    (tmp_path / "pids").mkdir()
    parent = subprocess.Popen([sys.executable, str(tmp_path / "script.py"), str(tmp_path / "pids")])
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "pids").iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    workers = [int(file.name) for file in (tmp_path / "pids").iterdir()]
    assert workers
    assert all(map(_lives, workers))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 10
    while any(map(_lives, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_lives, workers))
