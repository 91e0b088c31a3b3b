"""Purity of inferred groups, estimated without a group label."""

import numpy as np
import pytest

from longway import DFR, HSFM, SUBG
from longway.data.samples import Samples
from longway.groups import group_purity


def blurred(
    strength: float, seed: int = 0, n: int = 4000, shift: float = 0.0
) -> tuple[Samples, np.ndarray, np.ndarray]:
    """Rows with an attribute that is rarely unusual for its class, and what a threshold reads off them.

    Features hold the class, the attribute as strongly as wanted, and noise; ``shift`` moves the attribute's features
    with the class, as features do that were learnt from labels.
    """
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 2, n)
    attribute = np.where(generator.random(n) < 0.05, 1 - y, y)
    X = generator.normal(size=(n, 8))
    X[:, 0] += 2 * y
    X[:, 1:4] += strength * (attribute[:, None] - 0.5) + shift * (y[:, None] - 0.5)
    return Samples(X, y, np.ones(n)), attribute, (X[:, 1:4].sum(1) > 0).astype(np.int64)


@pytest.mark.parametrize("strength", [1.2, 2.0, 4.0])
def test_the_estimate_is_near_the_truth(strength):
    rows, attribute, read = blurred(strength)
    found = group_purity(rows, read, seed=0)
    for code in (0, 1):
        rare = (rows.y == code) & (read != code)
        assert found.shares[code, 1 - code] == pytest.approx(np.mean(attribute[rare] == read[rare]), abs=0.25)


def test_an_impure_group_keeps_its_surest_rows():
    rows, attribute, read = blurred(1.4)
    found = group_purity(rows, read, seed=0)
    rare = read != rows.y
    before, after = (np.mean(attribute[chosen] == read[chosen]) for chosen in (rare, rare & found.confident))
    assert before < 0.4
    assert after > before + 0.05
    assert found.confident[~rare].all()


def test_other_rows_are_judged_alike():
    rows, _, read = blurred(1.2)
    others, attribute, other_read = blurred(1.2, seed=1)
    confident = group_purity(rows, read, seed=0).confident_in(others, other_read)
    rare = other_read != others.y
    right = attribute == other_read
    assert np.mean(right[rare & confident]) > np.mean(right[rare]) + 0.1
    assert confident[~rare].all()


@pytest.mark.parametrize(("strength", "shift"), [(4.0, 0.0), (4.0, 3.0)])
def test_plain_groups_are_taken_as_they_are(strength, shift):
    rows, attribute, _ = blurred(strength, shift=shift)
    assert group_purity(rows, attribute, seed=0).confident.all()


def test_few_rows_and_rows_without_weight_say_nothing():
    rows, _, read = blurred(1.4, n=120)
    assert group_purity(rows, read, seed=0).confident[read == rows.y].all()
    rows, _, read = blurred(1.4)
    found = group_purity(rows.reweighted((read == rows.y).astype(float)), read, seed=0)
    assert not found.shares
    assert found.confident.all()


@pytest.mark.parametrize("method", [SUBG, DFR, HSFM])
def test_methods_leave_misread_rows_out_and_say_so(method):
    rows, _, _ = blurred(1.4)
    validation, _, _ = blurred(1.4, seed=1)
    fitted = method(group_inference="errors" if method is HSFM else "axes").fit(
        rows.X, rows.y, eval_set=(validation.X, validation.y)
    )
    about = fitted.group_inference_
    assert {len(line) for line in about["purity"]} == {3}
    assert (about["left_out"] > 0) == any(min_relative_score < 0.5 for *_, min_relative_score in about["purity"])


def test_the_mean_of_several_draws_differs_less_than_one():
    rows, attribute, _ = blurred(2.0, n=600)
    groups = 2 * rows.y + attribute
    std = []
    for n_refits in (1, 16):
        answers = [
            SUBG(n_refits=n_refits, random_state=seed).fit(rows.X, rows.y, groups=groups).decision_function(rows.X)
            for seed in range(4)
        ]
        std.append(np.std(answers, 0).mean())
    assert std[1] < std[0] / 2
