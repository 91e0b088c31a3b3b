"""Cards and options of all benchmarks: what is known, and what is refused in one line that names the option."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from longway.datasets import BENCHMARKS
from longway.utils.errors import LongwayError

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("digits", {"copys": 3}, r"benchmark digits has no option 'copys'; did you mean 'copies'"),
    ("digits", {"copies": 0}, r"copies=0 of benchmark digits must be a whole number, 1 or more"),
    ("digits", {"copies": True}, r"copies=True"),
    ("digits", {"train_correlation": 1.1}, r"train_correlation=1\.1 .* a number from 0 to 1"),
    ("digits", {"ood_correlation": float("nan")}, r"ood_correlation=nan"),
    ("digits", {"ood_correlation": "high"}, r"ood_correlation='high'"),
    ("cmnist", {"variant": "domainbet"}, r"variant='domainbet' .* did you mean 'domainbed'"),
    ("cmnist", {"variant": "irm", "train_correlation": 0.5}, r"train_correlation=0\.5 .* is for variant='sitar'"),
    ("cmnist", {"label_noise": 0.6}, r"label_noise=0\.6 .* from 0 to 0\.5"),
    ("cmnist", {"n_train": 0}, r"n_train=0 .* or None"),
    ("cmnist", {"size": 20}, r"size=20 .* one of None, 28, 14"),
    ("dominoes", {"top": "cifar10"}, r"top='cifar10' .* did you mean 'cifar'"),
    ("dominoes", {"correlation": -0.1}, r"correlation=-0\.1"),
    ("planted", {"n_classes": 1}, r"n_classes=1 .* 2 or more"),
    ("planted", {"n_values": 1}, r"n_values=1 .* 2 or more, or None"),
    ("planted", {"n": 3}, r"n=3 .* 4 or more"),
    ("planted", {"n_features": 2, "core_form": "xor"}, r"n_features=2 .* 3 or more"),
    ("planted", {"n_shortcuts": 0}, r"n_shortcuts=0"),
    ("planted", {"noise": -1}, r"noise=-1 .* a number, 0 or more"),
    ("planted", {"core": float("inf")}, r"core=inf"),
    ("planted", {"shortcut_form": "or"}, r"shortcut_form='or' .* did you mean 'xor'"),
    ("unit-tests", {"example": "example1"}, r"example='example1' .* did you mean 'example3'"),
    ("unit-tests", {"n_envs": 1}, r"n_envs=1 .* 2 or more"),
    ("celeba", {"label": "Blonde_Hair"}, r"label='Blonde_Hair' .* did you mean 'Blond_Hair'"),
    ("celeba", {"attribute": 3}, r"attribute=3"),
    ("celeba", {"attribute": "Blond_Hair"}, r"attribute='Blond_Hair' of benchmark celeba is the label"),
    ("celeba", {"split": "random"}, r"split='random'"),
    ("celeba", {"correlation": 2}, r"correlation=2 .* from 0 to 1, or None"),
    ("celeba", {"agreeing": "both"}, r"agreeing='both'"),
    ("celeba", {"balanced_test": 1}, r"balanced_test=1 .* one of None, True, False"),
    ("celeba", {"size": 6.5}, r"size=6\.5"),
    ("celeba", {"mean": 0.5}, r"mean= of benchmark celeba is for a backbone"),
    ("waterbirds", {"backbone": "resnet50"}, r"backbone='resnet50' .* path/to/file\.py:function"),
    ("waterbirds", {"folder": ""}, r"folder='' of benchmark waterbirds must be a text"),
    ("utkface", {"label": "race", "attribute": "race"}, r"attribute='race' of benchmark utkface is the label"),
    ("utkface", {"age_limit": 0}, r"age_limit=0"),
    ("multinli", {"separator": None}, r"separator=None .* must be a text"),
]


@pytest.mark.parametrize(("name", "options", "says"), BAD)
def test_bad_options(name, options, says):
    with pytest.raises(LongwayError, match=says) as caught:
        BENCHMARKS[name].with_options(options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_options_survive_json(name):
    benchmark = BENCHMARKS[name]()
    assert benchmark.name == name
    assert BENCHMARKS[name].with_options(json.loads(json.dumps(benchmark.options()))) == benchmark
    assert set(benchmark.options()) == {f.name for f in fields(benchmark)} - set(benchmark.later)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_cards_say_everything(name):
    card = BENCHMARKS[name].card
    assert all((card.title, card.core, card.shortcut, card.licence, card.source, card.obtain))
    assert card.metric[1] in {"worst_group", "average"}
    assert BENCHMARKS[name].__doc__


def test_real_files_have_the_hashes_of_the_cards(real):
    from longway.datasets._files import content_hash

    files = {name: mark for benchmark in BENCHMARKS.values() for name, mark in benchmark.card.files.items()}
    assert {name: content_hash(real / name) for name in files} == files


def test_a_folder_that_is_not_there():
    with pytest.raises(LongwayError, match=r"folder='/nowhere/at/all' of benchmark waterbirds does not exist"):
        BENCHMARKS["waterbirds"].with_options({"folder": "/nowhere/at/all"}).build(0)
