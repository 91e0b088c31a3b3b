"""Splits: named, hashed, random."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longway.data.splits import hashed_split, named_split, part_name, random_split
from longway.utils.errors import LongwayError

FRACTIONS = (0.6, 0.2, 0.2)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (["Train", "validation", "TEST", "dev"], ["train", "val", "test", "val"]),
        ([0, 1, 2, 0], ["train", "val", "test", "train"]),
        (["0", "2"], ["train", "test"]),
        ([2, 2], ["test", "test"]),
    ],
)
def test_common_spellings(values, wanted):
    assert named_split(np.array(values), "split").tolist() == wanted


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["train", "holdout"], r"'part' holds 'holdout': only train, val and test .* use split_by='part'"),
        ([0, 1], r"'part' has only the numbers 0 and 1, which may mean anything"),
        ([0, 3], r"'part' holds '0', '3': only"),
    ],
)
def test_other_words_are_refused(values, message):
    with pytest.raises(LongwayError, match=message):
        named_split(np.array(values), "part")


def test_no_value_is_in_two_parts_and_the_shares_are_right():
    people = np.random.default_rng(0).integers(0, 3000, 20_000)
    split = hashed_split(people, FRACTIONS, 0)
    for person in np.unique(people)[:200]:
        assert len(np.unique(split[people == person])) == 1
    shares = [np.mean(split == part) for part in ("train", "val", "test")]
    np.testing.assert_allclose(shares, FRACTIONS, atol=0.03)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.text(max_size=5), min_size=1, max_size=30), st.lists(st.text(max_size=5), max_size=30), st.integers()
)
def test_hashed_splits_stay_when_the_data_grow(old, new, seed):
    before = hashed_split(np.array(old), FRACTIONS, seed)
    after = hashed_split(np.array(new + old), FRACTIONS, seed)
    np.testing.assert_array_equal(after[len(new) :], before)


def test_hashed_splits_see_values_not_types_and_follow_the_seed():
    numbers = np.arange(100)
    np.testing.assert_array_equal(hashed_split(numbers, FRACTIONS, 0), hashed_split(numbers.astype(str), FRACTIONS, 0))
    assert (hashed_split(numbers, FRACTIONS, 0) != hashed_split(numbers, FRACTIONS, 1)).any()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 99))
def test_random_splits_are_even_within_each_stratum(counts, seed):
    strata = np.repeat(np.arange(len(counts)), counts)
    split = random_split(strata, FRACTIONS, seed)
    np.testing.assert_array_equal(split, random_split(strata, FRACTIONS, seed))
    for k, count in enumerate(counts):
        parts = split[strata == k]
        assert "train" in parts
        for part, share in zip(("train", "val", "test"), FRACTIONS, strict=True):
            assert abs(np.sum(parts == part) - share * count) <= 1


@pytest.mark.parametrize(
    "fractions", [(0.5, 0.5), (0.5, 0.6, -0.1), (0.5, 0.2, 0.2), (0, 0.5, 0.5), (np.nan, 0.5, 0.5)]
)
def test_fractions_must_be_shares(fractions):
    with pytest.raises(LongwayError, match=r"fractions=\(.*\) cannot be used: give three shares"):
        random_split(np.zeros(3), fractions, 0)


def test_all_can_be_train():
    assert set(random_split(np.zeros(5), (1, 0, 0), 0)) == {"train"}
    assert set(hashed_split(np.arange(50), (1, 0, 0), 0)) == {"train"}


def test_names_that_mean_no_part():
    assert part_name("unsupervised") is None
