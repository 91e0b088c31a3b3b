import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score

from longway.metrics import GroupMetrics, GroupResult, evaluate_groups, summarise, wilson_interval
from longway.metrics._labels import correct_predictions, count_groups
from longway.utils.errors import LongwayError


def group_counts(y_true, y_pred, groups):
    return count_groups(correct_predictions(y_true, y_pred)[1], groups)


def loop_counts(y_true, y_pred, groups):
    """The slow, obvious form."""
    counts = {}
    for true, predicted, group in zip(y_true, y_pred, groups, strict=True):
        n, correct = counts.get(group, (0, 0))
        counts[group] = (n + 1, correct + (true == predicted))
    return counts


@st.composite
def predictions(draw):
    size = draw(st.integers(1, 60))

    def column():
        kind = draw(st.sampled_from([st.integers(-3, 300), st.integers(-(2**62), 2**62), st.text(max_size=12)]))
        pool = draw(st.lists(kind, min_size=1, max_size=5))
        return pool, draw(st.lists(st.sampled_from(pool), min_size=size, max_size=size))

    pool, true = column()
    predicted = draw(st.lists(st.sampled_from(pool), min_size=size, max_size=size))
    return true, predicted, column()[1]


@settings(deadline=None, max_examples=200)
@given(predictions(), st.sampled_from([list, pd.Series, lambda values: np.array(values, dtype=object)]))
def test_counts_equal_a_loop_over_samples(columns, container):
    true, predicted, groups = columns
    counts = group_counts(*map(container, columns))
    found = {label: (n, correct) for label, n, correct in zip(*(a.tolist() for a in counts), strict=True)}
    assert found == loop_counts(true, predicted, groups)
    assert counts.labels.tolist() == sorted(found)


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(1, 700), st.integers(1, 7))
def test_overlapping_groups_equal_a_loop(data, size, columns):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    true = rng.integers(0, 3, size)
    predicted = np.where(rng.random(size) < rng.random(), true, 9)
    matrix = rng.random((size, columns)) < 0.6
    matrix = data.draw(st.sampled_from([matrix, np.asfortranarray(matrix), matrix[:, ::-1]]))
    counts = group_counts(true, predicted, matrix)
    for group in range(columns):
        members = [i for i in range(size) if matrix[i, group]]
        assert counts.n[group] == len(members)
        assert counts.correct[group] == sum(true[i] == predicted[i] for i in members)


@pytest.mark.parametrize("kinds", [3, 5_000, 60_000])
@pytest.mark.parametrize("width", [1, 2, 3, 9, 14])
def test_many_distinct_texts(kinds, width):
    numbers = np.random.default_rng(0).integers(0, kinds, 60_000)
    text = np.char.zfill(numbers.astype(str), width)
    counts = group_counts(numbers, numbers, text)
    expected, n = np.unique(text, return_counts=True)
    np.testing.assert_array_equal(counts.labels, expected)
    np.testing.assert_array_equal(counts.n, n)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64, np.float32, bool])
def test_every_number_type_counts(dtype):
    low, high = (0, 1) if dtype in (bool, np.float32) else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    labels = np.array([low, high, high], dtype=dtype)
    counts = group_counts(labels, labels, labels)
    assert counts.labels.tolist() == [low, high]
    assert counts.n.tolist() == [1, 2]


@given(st.integers(1, 500), st.data(), st.sampled_from([0.5, 0.8, 0.95, 0.999]))
def test_wilson_is_scipys(n, data, confidence):
    correct = data.draw(st.integers(0, n))
    theirs = binomtest(correct, n).proportion_ci(confidence, method="wilson")
    assert wilson_interval(correct, n, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert GroupResult("g", n, correct, confidence=confidence).interval == pytest.approx(theirs, abs=1e-12)


def test_wilson_interval_without_samples_is_0_to_1():
    low, high = wilson_interval([0, 1], [0, 1])
    assert (low[0], high[0], high[1]) == (0, 1, 1)


@pytest.mark.parametrize("names", [None, np.array(["cat", "dog", "a horse"])])
def test_class_metrics_are_sklearns(names):
    rng = np.random.default_rng(1)
    true, predicted = rng.integers(0, 3, 300), rng.integers(0, 3, 300)
    if names is not None:
        true, predicted = names[true], names[predicted]
    metrics = evaluate_groups(true, predicted)
    assert metrics.balanced_accuracy == pytest.approx(balanced_accuracy_score(true, predicted))
    assert metrics.average_accuracy == pytest.approx((true == predicted).mean())
    recalls = {str(c): (predicted[true == c] == c).mean() for c in np.unique(true)}
    assert metrics.worst_class_accuracy == pytest.approx(min(recalls.values()))
    assert recalls[metrics.worst_class] == min(recalls.values())
    assert [c.n for c in metrics.classes] == [int((true == c).sum()) for c in np.unique(true)]


def test_group_metrics_need_groups():
    metrics = evaluate_groups([0, 1], [0, 0])
    with pytest.raises(LongwayError, match="no groups; pass groups="):
        _ = metrics.worst_group_accuracy


def test_reweighted_average_follows_the_training_proportions():
    metrics = evaluate_groups(
        [0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1], names=["rare", "common", "absent"], train_counts=[10, 30, 60]
    )
    assert metrics.average_accuracy == 0.75
    assert metrics.reweighted_average_accuracy == pytest.approx(0.25 * 0.5 + 0.75 * 1)


def test_empty_groups_are_named_and_never_the_worst():
    metrics = evaluate_groups([0, 1], [0, 0], ["x", "y"], names=["nobody", "y", "x"])
    assert metrics.empty_groups == ("nobody",)
    assert math.isnan(metrics.accuracy_by_group["nobody"])
    assert (metrics.worst_group, metrics.worst_group_accuracy) == ("y", 0.0)
    assert metrics.groups[0].interval == (0, 1)


def test_train_counts_add_empty_groups():
    by_name = evaluate_groups([0, 1], [0, 1], ["b", "a"], train_counts={"a": 1, "b": 2, "c": 3})
    assert [g.name for g in by_name.groups] == ["a", "b", "c"]
    by_number = evaluate_groups([0, 1], [0, 1], [3, 1], train_counts=np.array([1, 2, 3, 4]))
    assert by_number.empty_groups == ("0", "2")


@pytest.mark.parametrize("groups", [None, ["b", "a", "b"], [[True, False], [True, True], [False, False]]])
def test_json_round_trip(groups):
    train = None if groups is None else {"a": 5, "b": 1, "c": 0} if isinstance(groups[0], str) else [4, 4]
    metrics = evaluate_groups(["x", "y", "y"], ["x", "y", "x"], groups, train_counts=train, confidence=0.9)
    record = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))
    again = GroupMetrics.from_dict(record)
    assert again == metrics
    assert again.to_dict() == record


@pytest.mark.parametrize(
    "corrupt",
    [
        lambda record: record.pop("classes"),
        lambda record: record.update(groups=[{"name": "a", "n": 1, "correct": 2}]),
        lambda record: record.update(groups=3),
        lambda record: record.update(confidence="high"),
        lambda record: record.update(classes=[]),
    ],
)
def test_corrupt_record(corrupt):
    record = evaluate_groups([0, 1], [0, 1], [0, 1]).to_dict()
    corrupt(record)
    with pytest.raises(LongwayError):
        GroupMetrics.from_dict(record)


def test_frame():
    metrics = evaluate_groups([0, 1, 1], [0, 0, 1], ["u", "v", "v"], names=["u", "v", "w"])
    frame = metrics.to_frame()
    assert frame.loc["v", "accuracy"] == 0.5
    assert np.isnan(frame.loc["w", "accuracy"])
    assert list(frame.columns) == ["n", "correct", "accuracy", "low", "high"]
    assert evaluate_groups([0, 1], [0, 1]).to_frame().index.name == "class"
    assert "train_n" in evaluate_groups([0], [0], [0], train_counts=[2]).to_frame()


def test_summarise():
    values = [0.5, 0.75, 1.0]
    assert summarise(values) == (np.mean(values), np.std(values, ddof=1))
    assert math.isnan(summarise([0.5]).std)
    with pytest.raises(LongwayError, match="values is empty"):
        summarise([])


BAD_INPUT = {
    "no samples": (([], [], []), {}, "y_true is empty"),
    "short predictions": (([0, 1], [0], [0, 1]), {}, "y_pred has 1 labels but y_true has 2"),
    "short groups": (([0, 1], [0, 1], [0]), {}, "groups has 1 rows but y_true has 2"),
    "short matrix": (([0, 1], [0, 1], np.ones((1, 3), bool)), {}, "groups has 1 rows"),
    "matrix of numbers": (([0, 1], [0, 1], np.ones((2, 3))), {}, "groups is a matrix of float64; .* must be boolean"),
    "nan label": (([0, np.nan], [0, 1], [0, 1]), {}, "y_true has missing labels"),
    "none label": ((["a", None], ["a", "a"], [0, 1]), {}, "y_true has missing labels"),
    "nan among text": ((["a", "b"], ["a", float("nan")], [0, 1]), {}, "y_pred has missing labels"),
    "pandas NA": (([0, 1], [0, 1], pd.Series([1, None], dtype="Int64")), {}, "groups has missing labels"),
    "pandas text NA": (([0, 1], [0, 1], pd.Series(["a", None], dtype="str")), {}, "groups has missing labels"),
    "probabilities": (([0, 1], [0.2, 0.8], [0, 1]), {}, "y_pred has fractional values; pass predicted labels"),
    "scores": (([0, 1], [[0.2, 0.8], [0.1, 0.9]], [0, 1]), {}, r"y_pred has shape \(2, 2\)"),
    "ragged": (([0, 1], [[0], [1, 2]], [0, 1]), {}, "y_pred cannot be read"),
    "text and numbers": ((["a", "b"], [0, 1], [0, 1]), {}, "y_true holds text but y_pred holds numbers"),
    "mixed types": (([0, "b"], ["a", "b"], [0, 1]), {}, r"y_true mixes types \(int, str\)"),
    "dates": ((np.array(["2020-01-01"], "M8[D]"), [1], [1]), {}, "y_true has type datetime64"),
    "huge integer": (([2**70], [1], [1]), {}, "y_true has an integer label outside 64 bits"),
    "no members": (([0, 1], [0, 1], np.zeros((2, 3), bool)), {}, "groups is empty: no sample belongs to any group"),
    "few names": (([0, 1], [0, 1], [0, 1]), {"names": ["a"]}, "groups has label 1 but names has 1 entries"),
    "negative group": (([0, 1], [0, 1], [0, -1]), {"names": ["a", "b"]}, "groups has label -1"),
    "unknown name": (([0, 1], [0, 1], ["a", "b"]), {"names": ["a"]}, "names lacks group 'b'"),
    "duplicate name": (([0, 1], [0, 1], [0, 1]), {"names": ["a", "a"]}, "names of groups must differ"),
    "no count": (([0, 1], [0, 1], ["a", "b"]), {"train_counts": {"a": 1}}, "train_counts lacks group 'b'"),
    "no count, names": (
        ([0, 1], [0, 1], ["a", "b"]),
        {"names": ["a", "b"], "train_counts": {"a": 1}},
        "train_counts lacks group 'b'; give 0",
    ),
    "few counts": (([0, 1], [0, 1], ["a", "b"]), {"train_counts": [1]}, "train_counts has 1 entries but there are 2"),
    "negative count": (([0, 1], [0, 1], ["a", "b"]), {"train_counts": [1, -1]}, "train_counts must be whole numbers"),
    "text count": (([0], [0], ["a"]), {"train_counts": ["3"]}, "train_counts must be whole numbers"),
    "nan count": (([0], [0], ["a"]), {"train_counts": [np.nan]}, "train_counts must be whole numbers"),
    "confidence": (([0, 1], [0, 1], [0, 1]), {"confidence": 95}, "confidence is 95"),
    "names, no groups": (([0, 1], [0, 1]), {"names": ["a"]}, "pass groups= too"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_clear_line(case):
    arguments, options, message = BAD_INPUT[case]
    with pytest.raises(LongwayError, match=message) as caught:
        evaluate_groups(*arguments, **options)
    assert "\n" not in str(caught.value)


def test_reweighted_average_needs_counts_and_disjoint_groups():
    with pytest.raises(LongwayError, match="needs train_counts"):
        _ = evaluate_groups([0], [0], [0]).reweighted_average_accuracy
    overlapping = evaluate_groups([0], [0], [[True, True]], train_counts=[1, 1])
    with pytest.raises(LongwayError, match="disjoint"):
        _ = overlapping.reweighted_average_accuracy
    with pytest.raises(LongwayError, match="zero for every group"):
        _ = evaluate_groups([0], [0], [0], train_counts=[0]).reweighted_average_accuracy
