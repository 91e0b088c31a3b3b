import subprocess
import sys

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
