import numpy as np
import pytest

from longway.auditing.bimodality import measure_bimodality
from longway.auditing.signals import Signal, split_signal


@pytest.fixture
def one_sided():
    """Return a signal and two classes; only the second has samples where the other lies."""
    generator = np.random.default_rng(0)
    codes = np.repeat([0, 1], 300)
    values = generator.normal(size=600) + 3 * (2 * codes - 1)
    values[300:340] -= 6
    return values, codes


def found(values, codes):
    signal = Signal("s", "", "axis", 0, values)
    return measure_bimodality(split_signal(signal, codes, 2), codes)


def test_a_second_mode_counts_whichever_class_has_it(one_sided):
    values, codes = one_sided
    one, other = found(values, codes), found(values, 1 - codes)
    assert one.excess > one.excess_error > 0
    assert one == pytest.approx(other)
    assert found(-values, codes) == pytest.approx(one)


def test_a_tail_is_no_second_mode():
    generator = np.random.default_rng(0)
    codes = np.repeat([0, 1], 2000)
    alone = found(generator.normal(size=4000) + 1.0 * (2 * codes - 1), codes)
    assert abs(alone.excess) < 0.05
    assert alone.evidence < 1
