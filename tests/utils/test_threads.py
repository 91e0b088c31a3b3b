"""Threads of torch and of linear algebra are set for a while, and put back."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import scipy.linalg  # noqa: F401  (brings its linear algebra)
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from longway.linear._minimize import minimize_smooth
from longway.utils.threads import limited_threads, one_blas_thread


def blas() -> set[int]:
    """Return the numbers of threads of the linear algebra in use."""
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


@pytest.fixture
def two():
    """Two threads for everything."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with threadpool_limits(2):
        yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("fails", [False, True])
def test_all_libraries_are_limited_and_put_back(two, fails):
    with pytest.raises(ValueError, match="stop") if fails else limited_threads(2), limited_threads(1):
        assert torch.get_num_threads() == 1
        assert blas() == {1}
        if fails:
            raise ValueError("stop")
    assert torch.get_num_threads() == 2
    assert blas() == {2}


def test_linear_algebra_alone_is_limited(two):
    with one_blas_thread():
        assert torch.get_num_threads() == 2
        assert blas() == {1}
    assert blas() == {2}


def test_a_solver_gives_linear_algebra_one_thread(two):
    seen = set()

    def bowl(x, middle):
        seen.update(blas())
        return float(((x - middle) ** 2).sum()), 2 * (x - middle)

    found = minimize_smooth(bowl, np.zeros(3), np.arange(3.0), tolerance=1e-9, max_iter=20)
    np.testing.assert_allclose(found.x, np.arange(3.0), atol=1e-6)
    assert seen == {1}
    assert blas() == {2}


def test_fits_side_by_side_leave_threads_as_they_were(two):
    inside, go_on = threading.Barrier(2), threading.Event()

    def work():
        with one_blas_thread():
            inside.wait(5)
            go_on.wait(5)

    worker = threading.Thread(target=work)
    with one_blas_thread():
        worker.start()
        inside.wait(5)
    go_on.set()
    worker.join()
    assert blas() == {2}
