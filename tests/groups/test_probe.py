import numpy as np
import pytest

from longway import LongwayError
from longway.groups import leakage


def hidden(n=1500, seed=0):
    """Axes that tell the attribute plainly, by their spread, by two signs together, and one that does not."""
    generator = np.random.default_rng(seed)
    attribute = generator.integers(0, 2, n)
    z = generator.normal(size=(n, 5))
    z[:, 0] += 8 * attribute
    z[:, 1] *= 1 + 5 * attribute
    z[:, 3] = np.abs(z[:, 3]) * np.sign(z[:, 2]) * (2 * attribute - 1)
    return z, attribute


def test_finds_what_no_correlation_shows():
    z, attribute = hidden()
    assert max(abs(np.corrcoef(axis, attribute)[0, 1]) for axis in z.T[1:]) < 0.1
    found = leakage(z, attribute, top=(0,))
    assert found.everything > 0.98
    assert found.without_top > 0.9
    assert found.each[0] > 0.98
    assert found.each[1] > 0.75
    assert abs(found.each[2:] - 0.5).max() < 0.1
    only_noise = leakage(z, attribute, top=(0, 1, 3))
    assert abs(only_noise.without_top - only_noise.chance) < 0.1


def test_same_seed_same_answer_for_names_and_three_values():
    z, _ = hidden()
    names = np.array(["red", "green", "blue"])[np.digitize(z[:, 4], [-0.5, 0.5])]
    first, second = (leakage(z, names, top=(0,), most_rows=400) for _ in range(2))
    assert first.summary() == second.summary()
    assert first.chance == pytest.approx(1 / 3)
    assert first.without_top > 0.9


@pytest.mark.parametrize(
    ("attribute", "top", "message"),
    [
        (np.zeros(20), (0,), "two values or more"),
        (np.arange(20) == 3, (0,), "two values or more, each in two rows"),
        (np.arange(20) % 2, (7,), "names an axis that is not there: latents have 3"),
        (np.arange(20) % 2, (0, 1, 2), "leaves no axis"),
        (np.arange(10) % 2, (0,), "10 values for 20 rows"),
    ],
)
def test_bad_input(attribute, top, message):
    with pytest.raises(LongwayError, match=message):
        leakage(np.random.default_rng(0).normal(size=(20, 3)), attribute, top=top)
