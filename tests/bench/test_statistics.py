"""The bootstrap against slow, obvious forms of it and against closed forms."""

import math

import numpy as np
import pytest

from longway import LongwayError
from longway.bench import results as outcome
from longway.bench.resampling import resample
from longway.bench.statistics import NOTHING, Bootstrap, Standing, ranked, ranking
from longway.metrics.group_metrics import evaluate_groups

TRAIN = {"0": 80, "1": 10, "2": 10}


def part(correct, groups, train=TRAIN, known=True) -> outcome.Test:
    y = groups % 2
    metrics = evaluate_groups(
        y, np.where(correct, y, 1 - y), groups.astype(str) if known else None, train_counts=train if known else None
    )
    return outcome.Test(metrics, np.asarray(correct, bool), groups if known else y, np.asarray(y))


def drawn(generator, groups, accuracies, tests=1):
    return [generator.random(len(groups)) < np.asarray(accuracies)[groups] for _ in range(tests)]


def naive(tests, resamples, generator):
    """Draw rows of each group again, one replicate after the other."""
    groups = tests[0].groups
    made = {name: np.zeros((resamples, len(tests))) for name in ("worst_group", "average", "reweighted_average")}
    for b in range(resamples):
        rows = np.concatenate([generator.choice(np.flatnonzero(groups == g), (groups == g).sum()) for g in range(3)])
        for column, test in enumerate(tests):
            accuracies = [test.correct[rows][groups[rows] == g].mean() for g in range(3)]
            made["worst_group"][b, column] = min(accuracies)
            made["average"][b, column] = test.correct[rows].mean()
            made["reweighted_average"][b, column] = np.dot(accuracies, [0.8, 0.1, 0.1])
    return made


@pytest.mark.parametrize("n", [60, 900])  # drawn sample by sample, and kind by kind
def test_samples_are_drawn_as_by_the_obvious_way(n):
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 3, n)
    first = drawn(generator, groups, (0.9, 0.6, 0.7))[0]
    tests = [part(first, groups), part(first ^ (generator.random(n) < 0.1), groups)]
    fast, slow = resample(tests, 4000, np.random.default_rng(1)), naive(tests, 4000, np.random.default_rng(2))
    for name, values in slow.items():
        np.testing.assert_allclose(fast[name].mean(axis=0), values.mean(axis=0), atol=0.004)
        np.testing.assert_allclose(fast[name].std(axis=0), values.std(axis=0), rtol=0.08)
        apart = [np.diff(each, axis=1).std() for each in (fast[name], values)]  # methods are paired
        assert apart[0] == pytest.approx(apart[1], rel=0.08)


def test_classes_stand_in_where_no_groups_are_known():
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 3, 200)
    test = part(drawn(generator, groups, (0.9, 0.6, 0.7))[0], groups, known=False)
    figures = resample([test], 500, generator)
    assert set(figures) == {"average", "worst_class", "balanced"}
    assert figures["worst_class"].mean() == pytest.approx(test.metrics.worst_class_accuracy, abs=0.02)


def test_one_seed_knows_of_test_samples_only():
    groups = np.zeros(400, int)
    test = part(np.arange(400) < 280, groups, {"0": 5})
    found = Bootstrap({"a": {0: {"test": test}}}, resamples=4000).estimates("test", "average")["a"]
    assert (found.mean, found.seeds) == (0.7, 1)
    assert math.isnan(found.std)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * math.sqrt(0.7 * 0.3 / 400), rel=0.05)


@pytest.mark.parametrize("shared", [True, False])
def test_variance_of_a_mean_over_seeds(shared):
    """Seeds whose accuracies spread by sigma, on n samples, shared or not: variance sigma^2/S + p(1-p)/(nS)."""
    seeds, n, sigma, variances, closed = 8, 200, 0.06, [], []
    for repeat in range(60):
        generator = np.random.default_rng(repeat)
        runs = {}
        for seed in range(seeds):
            groups = np.zeros(n, int) if shared else (np.arange(n) == seed).astype(int)
            accuracy = np.clip(0.7 + sigma * generator.standard_normal(), 0, 1)
            runs[seed] = {"test": part(generator.random(n) < accuracy, groups)}
        boot = Bootstrap({"a": runs}, key=repeat, resamples=400)
        variances.append(boot.replicates("test", "average").var())
        closed.append(sigma**2 / seeds + 0.21 / (n * seeds))
    assert np.mean(variances) == pytest.approx(np.mean(closed), rel=0.2)


def test_equal_seeds_on_one_test_set_are_no_more_than_one():
    groups = np.zeros(400, int)
    test = {"test": part(np.arange(400) < 280, groups)}
    one = Bootstrap({"a": {0: test}}, resamples=3000).replicates("test", "average").std()
    five = Bootstrap({"a": dict.fromkeys(range(5), test)}, resamples=3000).replicates("test", "average").std()
    assert five == pytest.approx(one, rel=0.06)


def runs(seeds=4, methods=3, n=300, key=0):
    generator = np.random.default_rng(key)
    groups = generator.integers(0, 3, n)
    return {
        f"m{m}": {
            s: {"test": part(drawn(generator, groups, (0.9, 0.5 + 0.1 * m, 0.9))[0], groups)} for s in range(seeds)
        }
        for m in range(methods)
    }


def test_differences_are_paired_over_the_seeds_that_both_have():
    known = runs()
    del known["m1"][2]
    boot = Bootstrap(known)
    apart = boot.differences("test", "worst_group", {"m1": "m0", "m2": "m0"})
    values = boot.measured("test", "worst_group")
    assert math.isnan(values[2, 1])
    assert apart["m1"].seeds == 3
    assert apart["m1"].mean == pytest.approx((values[:, 1] - values[:, 0])[[0, 1, 3]].mean())
    assert apart["m2"].low > 0
    assert apart["m2"].low < apart["m2"].mean < apart["m2"].high


def test_what_equals_the_baseline_differs_by_nothing():
    known = runs(methods=1)
    found = Bootstrap({**known, "same": known["m0"]}).differences("test", "worst_group", {"same": "m0"})["same"]
    assert (found.mean, found.std, found.low, found.high) == (0, 0, 0, 0)


def test_the_same_key_gives_the_same_numbers():
    one, two, other = (Bootstrap(runs(), key) for key in ("k", "k", "other"))
    assert one.estimates("test", "average") == two.estimates("test", "average")
    assert one.estimates("test", "average") != other.estimates("test", "average")


def test_the_estimate_lies_within_its_interval():
    """Of many groups alike, the lowest of a resample lies far below the lowest; the interval must not."""
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 3, 90)
    test = part(drawn(generator, groups, (0.8, 0.8, 0.8))[0], groups)
    found = Bootstrap({"a": {0: {"test": test}}}).estimates("test", "worst_group")["a"]
    assert found.low < found.mean < found.high


def test_a_method_without_any_seed_has_no_estimate():
    boot = Bootstrap({**runs(methods=1), "lost": {}})
    assert boot.estimates("test", "average")["lost"] == NOTHING
    assert boot.differences("test", "average", {"lost": "m0"})["lost"] == NOTHING
    assert NOTHING.to_dict()["mean"] is None


def test_nothing_to_compare():
    with pytest.raises(LongwayError, match="no results"):
        Bootstrap({"a": {}})


def test_ranks():
    assert ranked(np.array([[0.1, 0.3, 0.2], [0.5, 0.5, 0.1]])).tolist() == [[3, 1, 2], [1.5, 1.5, 3]]
    boots = {f"b{k}": Bootstrap(runs(key=k), k) for k in range(2)}
    names = ["m0", "m1", "m2"]
    standings = {b: Standing(names, *boot.ranks("test", "worst_group", names)) for b, boot in boots.items()}
    found = ranking(standings)
    assert [rank.method for rank in found] == ["m2", "m1", "m0"]
    assert found[0].mean == 1
    assert found[0].low <= found[0].mean <= found[0].high
    assert found[0].first > 0.9


def test_a_method_that_a_benchmark_lacks_is_ranked_on_the_others():
    boot = Bootstrap(runs())
    full = Standing(["m0", "m1"], *boot.ranks("test", "average", ["m0", "m1"]))
    alone = Standing(["m2"], *boot.ranks("test", "average", ["m2"]))
    by_method = {rank.method: rank for rank in ranking({"one": full, "two": alone})}
    assert by_method["m2"].by_benchmark == {"two": 1}
    assert set(by_method["m0"].by_benchmark) == {"one"}


def test_cost_does_not_grow_with_samples_that_are_alike():
    groups = np.zeros(200_000, int)
    test = part(np.arange(200_000) % 3 > 0, groups)
    assert Bootstrap({"a": {0: {"test": test}}}).estimates("test", "average")["a"].mean == pytest.approx(
        2 / 3, abs=1e-5
    )
