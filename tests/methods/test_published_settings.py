"""Published settings do what their sources do: they move the head, by the steps of the source's optimiser."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from longway import AFR, CCR, DFR, IRM, JTT, LORT, METHODS, GroupDRO, LfF, Selective
from longway.data.samples import Samples
from longway.datasets import make_planted_shortcut
from longway.functional.invariance import irm_penalty, risk_variance
from longway.linear.feature_head import FeatureHead
from longway.linear.fit import fit_linear
from longway.linear.head import LinearHead
from longway.methods._last_layer import solve_from
from longway.methods.ccr import _Problem
from longway.methods.dfr import group_balanced_draws
from longway.methods.invariance._environments import InvarianceObjective
from longway.methods.lort import OverSmoothed
from longway.methods.semantic_anchor import AnchorObjective
from longway.nn.classifier import CrossEntropy
from longway.training import loop
from longway.training.loop import Schedule, train
from longway.training.warmup import Warmup

DATA = make_planted_shortcut(300, correlation=0.9, n_features=5)
VALIDATION = make_planted_shortcut(200, correlation=0.5, n_features=5, seed=1)
EVAL_SET = (VALIDATION.X, VALIDATION.y, VALIDATION.groups)
HEAD = (np.array([[0.5, 0, 0, 0, 0], [0, 0, 0, 0, 0.5]]), np.zeros(2))
SHORT = {"epochs": 2, "first_epochs": 1, "n_support": 8, "upweight": 2.0}
SETTINGS = [(name, setting) for name, cls in METHODS.items() for setting in cls.published]


def flat(module):
    return torch.cat([part.detach().double().flatten() for part in module.parameters()])


@pytest.mark.parametrize(("name", "setting"), SETTINGS)
def test_every_published_setting_moves_the_head(name, setting, monkeypatch):
    cls, moved = METHODS[name], []
    steps = loop._Trainer.train

    def spied(self, state):
        start = flat(self.training.objective)
        steps(self, state)
        moved.append(float((flat(self.training.objective) - start).abs().max()))

    monkeypatch.setattr(loop._Trainer, "train", spied)
    known = set(cls._get_param_names())
    start = {"head": HEAD} if "head" in known else {}
    short = {key: value for key, value in SHORT.items() if key in known}
    method = cls.from_paper(setting, **short, **start, device="cpu")
    method.fit(DATA.X, DATA.y, groups=DATA.groups, eval_set=EVAL_SET)
    if not moved or start:
        weight = method.module_.linear.weight.detach().numpy()
        moved.append(np.abs(weight - (HEAD[0] if start else 0)).max())
    assert min(moved) > 1e-5


def test_steps_of_sgd_are_written_out():
    samples = Samples(DATA.X.astype(np.float32), DATA.y, np.ones(300))
    torch.manual_seed(0)
    network = nn.Linear(5, 2)
    theta = [part.detach().clone().requires_grad_() for part in network.parameters()]
    schedule = Schedule(4, 300, 0.1, 0.01, optimizer="sgd", momentum=0.9, cosine=True)
    train(CrossEntropy(network), samples, schedule, generator=np.random.default_rng(0), device="cpu")
    velocity = [torch.zeros_like(part) for part in theta]
    for epoch in range(4):
        loss = cross_entropy(torch.from_numpy(samples.X) @ theta[0].T + theta[1], torch.from_numpy(DATA.y))
        for part, v, gradient in zip(theta, velocity, torch.autograd.grad(loss, theta), strict=True):
            v.mul_(0.9).add_(gradient + 0.01 * part.detach())
            part.data -= 0.1 * (1 + np.cos(np.pi * epoch / 4)) / 2 * v
    for found, expected in zip(network.parameters(), theta, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("cls", "setting", "rate", "decay"),
    [
        (GroupDRO, "waterbirds", 1e-3, 1e-4),
        (GroupDRO, "waterbirds-strong-penalty", 1e-5, 1.0),
        (JTT, "celeba", 1e-5, 0.1),
    ],
)
def test_waterbirds_and_celeba_are_trained_by_sgd_with_momentum(cls, setting, rate, decay):
    schedule = cls.from_paper(setting)._schedule(1)
    assert (schedule.optimizer, schedule.momentum, schedule.learning_rate, schedule.weight_decay) == (
        "sgd",
        0.9,
        rate,
        decay,
    )


def test_the_strong_penalty_shrinks_weights():
    """300 epochs of 38 steps at 1e-5 with momentum 0.9: by about exp(-300 * 38 * 1e-5 / (1 - 0.9)) without a loss."""

    class Free(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, x, y, weight):
            return {"loss": 0 * self.weight.sum()}

    method, objective = GroupDRO.from_paper("waterbirds-strong-penalty"), Free()
    samples = Samples(np.zeros((100, 1), np.float32), np.arange(100) % 2, np.ones(100))
    schedule = method._schedule(300)
    schedule = Schedule(**{**vars(schedule), "batch_size": 10, "epochs": 1140})
    train(objective, samples, schedule, generator=np.random.default_rng(0), device="cpu")
    np.testing.assert_allclose(objective.weight.detach(), np.exp(-1.14), rtol=0.002)


def test_lff_keeps_its_last_epoch():
    options = {"epochs": 6, "hidden": (8,), "batch_size": 64, "device": "cpu"}
    fitted = LfF.from_paper("cmnist", **options).fit(DATA.X, DATA.y)
    assert (fitted.selection_["rule"], fitted.selection_["epoch"]) == ("last", 6)
    assert fitted.caveats == ()
    selected = LfF(**options).fit(DATA.X, DATA.y)
    assert "selected by the score worst_class on validation_fraction" in selected.caveats[0]
    assert LfF(**options).fit(DATA.X, DATA.y, eval_set=EVAL_SET).caveats == ()


def test_irm_and_vrex_are_the_official_losses():
    torch.manual_seed(0)
    network, lam, l2 = nn.Linear(3, 2), 50.0, 0.01
    x, y, e = torch.randn(40, 3), torch.arange(40) % 2, torch.arange(40) // 20
    terms = InvarianceObjective(network, irm_penalty, lam, 2, Warmup(0.0, 40), l2)(x, y, torch.ones(40), e)
    logit = network(x)[:, 1] - network(x)[:, 0]
    risks, penalties = [], []
    for code in range(2):
        scale = torch.ones((), requires_grad=True)
        risk = binary_cross_entropy_with_logits(logit[e == code] * scale, y[e == code].float())
        penalties.append(torch.autograd.grad(risk, scale, create_graph=True)[0] ** 2)
        risks.append(risk)
    norm = sum(part.norm().pow(2) for part in network.parameters())
    expected = (torch.stack(risks).mean() + l2 * norm + lam * torch.stack(penalties).mean()) / lam
    torch.testing.assert_close(terms["loss"], expected)
    value = risk_variance(network(x), y, torch.ones(40), e, 2)
    torch.testing.assert_close(value, ((risks[0] - risks[1]) / 2) ** 2)


def test_irm_takes_each_sample_once_in_full_batches():
    method = IRM.from_paper("cmnist", epochs=1, hidden=(4,))
    assert method._weights(Samples(DATA.X, DATA.y, np.ones(300), DATA.groups), None) is None


@pytest.mark.parametrize("setting", ["vision", "text"])
def test_selective_takes_the_steps_of_its_optimiser(setting):
    p = Selective.from_paper(setting).get_params()
    rows = Samples(DATA.X, DATA.y, np.ones(300))
    first = FeatureHead(5, 2).double()
    first.set_linear(LinearHead(torch.zeros(2, 5).double(), torch.zeros(2).double()))
    weights = np.full((300, 2), 1 / 300)
    rates = p["learning_rates"][:2]
    how = {name: p[name] for name in ("optimizer", "momentum", "weight_decay")}
    found = solve_from(first, rows, weights, [{"rate": rate} for rate in rates], 20, **how)
    for problem, rate in enumerate(rates):
        linear = nn.Linear(5, 2).double()
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
        optimizer = (
            torch.optim.SGD(linear.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4)
            if setting == "vision"
            else torch.optim.AdamW(linear.parameters(), lr=rate, weight_decay=1e-4)
        )
        for _ in range(20):
            optimizer.zero_grad()
            cross_entropy(linear(torch.from_numpy(DATA.X)), torch.from_numpy(DATA.y)).backward()
            optimizer.step()
        torch.testing.assert_close(found.weight[problem], linear.weight.detach())
        torch.testing.assert_close(found.bias[problem], linear.bias.detach())


def test_afr_is_the_official_descent():
    X, y = torch.from_numpy(DATA.X), torch.from_numpy(DATA.y)
    rows = Samples(DATA.X, DATA.y, np.ones(300))
    gamma, pull, rate = 4.0, 0.1, 1e-2
    method = AFR.from_paper("waterbirds", gammas=(gamma,), l2_to_init=(pull,), steps=30, head=HEAD)
    first = method._first(rows, 2)
    found = method._solve(first, rows, method._settings(), None).pick(0)
    theta = [torch.from_numpy(part).clone().requires_grad_() for part in HEAD]
    start = [part.detach().clone() for part in theta]
    p = (X @ theta[0].T + theta[1]).softmax(1)[torch.arange(300), y].detach()
    weight = (-gamma * p).exp() * torch.from_numpy(300 / np.bincount(DATA.y))[y]
    weight /= weight.sum()
    for _ in range(30):
        losses = cross_entropy(X @ theta[0].T + theta[1], y, reduction="none")
        distance = sum(((part - old) ** 2).sum() for part, old in zip(theta, start, strict=True))
        gradients = torch.autograd.grad(losses @ weight + pull * distance, theta)
        norm = torch.cat([each.flatten() for each in gradients]).norm()
        for part, each in zip(theta, gradients, strict=True):
            part.data -= rate * min(1.0, 1 / float(norm)) * each
    torch.testing.assert_close(found.weight, theta[0].detach())
    torch.testing.assert_close(found.bias, theta[1].detach())


def test_dfr_is_the_mean_of_sparse_heads_on_balanced_draws(monkeypatch):
    draws = []

    def drawn(*arguments):
        draws.append(group_balanced_draws(*arguments))
        return draws[-1]

    monkeypatch.setattr("longway.methods.dfr.group_balanced_draws", drawn)
    method = DFR.from_paper("val", Cs=(0.1,), n_refits=3).fit(DATA.X, DATA.y, eval_set=EVAL_SET)
    X = (VALIDATION.X - DATA.X.mean(0)) / DATA.X.std(0)
    coefficients = []
    for weight in draws[-1]:  # the refits on all validation data; the first draws chose C
        rows = weight > 0
        assert len(set(np.bincount(VALIDATION.groups[rows]))) == 1
        sparse = LogisticRegression(C=0.1, solver="saga", l1_ratio=1, tol=1e-8, max_iter=50_000)
        coefficients.append(sparse.fit(X[rows], VALIDATION.y[rows]).coef_[0])
    weight = method.module_.linear.weight.detach().numpy()
    np.testing.assert_allclose(weight[1] - weight[0], np.mean(coefficients, 0), atol=2e-3)


def test_lort_is_the_official_loss_and_starts_from_the_first_head():
    torch.manual_seed(0)
    network, x, y = nn.Linear(4, 3), torch.randn(20, 4), torch.arange(20) % 3
    delta = 0.98
    target = torch.full((20, 3), delta / 3)
    target[torch.arange(20), y] += 1 - delta
    expected = -(target * network(x).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(OverSmoothed(network, delta)(x, y, torch.ones(20))["loss"], expected)
    fitted = LORT.from_paper("default", learning_rate=1e-12, head=HEAD).fit(DATA.X, DATA.y)
    np.testing.assert_allclose(fitted.module_.linear.weight.detach(), HEAD[0], atol=1e-6)


def ccr_gradient(head, X, y, weight, lam, l2, *, official):
    """Return the gradient of CCR's objective by autograd: the official code's, or the printed formula's."""
    theta = [part.clone().requires_grad_() for part in head]
    logits = X @ theta[0].T + theta[1]
    p = logits.softmax(1)[torch.arange(len(y)), y]
    terms = []
    for j in range(X.shape[1]):
        without = X.clone()
        without[:, j] = 0
        q = (without @ theta[0].T + theta[1]).softmax(1)[torch.arange(len(y)), y]
        terms.append((1 + (p.detach() if official else p) - q).clamp_min(1).log())
    losses = cross_entropy(logits, y, reduction="none") - lam * torch.stack(terms).mean(0)
    if official:  # a sum over 32 rows of weights with mean 4, beside 2 |(W, b)|^2
        total = 128 * (losses @ weight) + 2 * (theta[0].square().sum() + theta[1].square().sum())
        return [each / 128 for each in torch.autograd.grad(total, theta)]
    return torch.autograd.grad(losses @ weight + l2 / 2 * theta[0].square().sum(), theta)


@pytest.mark.parametrize("official", [True, False])
def test_ccr_has_the_gradient_of_the_official_code_or_of_the_formula(official):
    l2, lam = (CCR.from_paper("text").l2 if official else 0.01), 1.0
    rows = Samples(DATA.X, DATA.y, np.ones(300))
    network = fit_linear(rows, 2, 0.1)
    problem = _Problem(rows, network, l2, official=official)
    head = problem._head()
    problem.reference = head if official else None
    x = network.standardize(torch.from_numpy(DATA.X).double()).detach()
    weight = torch.full((300,), 1 / 300, dtype=torch.float64)
    expected = ccr_gradient(head, x, torch.from_numpy(DATA.y), weight, lam, l2, official=official)
    gradient = problem._objective(problem.scaled.flat(head), lam)[1].reshape(2, 6) * problem.scaled.scale.numpy()
    np.testing.assert_allclose(gradient, torch.cat([expected[0], expected[1][:, None]], 1), atol=1e-9)


def test_the_official_ccr_ends_where_its_gradient_is_zero():
    rows = Samples(DATA.X, DATA.y, np.ones(300))
    network = fit_linear(rows, 2, 0.1)
    problem = _Problem(rows, network, 1 / 32, official=True)
    problem.descend(0.1)
    x = network.standardize(torch.from_numpy(DATA.X).double()).detach()
    weight = torch.full((300,), 1 / 300, dtype=torch.float64)
    left = ccr_gradient(problem._head(), x, torch.from_numpy(DATA.y), weight, 0.1, 1 / 32, official=True)
    assert max(float(each.abs().max()) for each in left) < 1e-5


def test_features_are_pulled_only_in_confident_steps():
    torch.manual_seed(0)
    network = FeatureHead(4, 2, (8,))
    objective = AnchorObjective(network, 1.0, 0.8, 0.9)
    x, y = torch.randn(12, 4), torch.arange(12) % 2
    with torch.no_grad():
        anchors = objective.projector(objective.seeds)
    assert (anchors >= 0).all()  # the projector ends in batch norm and ReLU
    assert objective(x, y, torch.ones(12))["distance"] == 0
    network.linear.weight.data = 20 * (anchors - anchors.mean(0))
    network.linear.bias.data.zero_()
    assert objective(x, y, torch.ones(12))["distance"] > 0
    network.linear.weight.data.zero_()
    assert objective.started
    assert objective(x, y, torch.ones(12))["distance"] == 0


def test_the_table_has_every_published_setting_and_names_tests_that_exist():
    root = Path(__file__).resolve().parents[2]
    text = (root / "docs" / "published-settings.md").read_text(encoding="utf-8").split("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ") and line.count("|") == 8][2:]
    named = {(row[0].split()[0].lower(), setting) for row in rows for setting in re.findall("`(.*?)`", row[0])}
    assert named == {(METHODS[name].__name__.lower(), setting) for name, setting in SETTINGS}
    sources = "".join(path.read_text(encoding="utf-8") for path in (root / "tests").glob("**/test_*.py"))
    tests = {test for row in rows for test in re.findall("`(test_.*?)`", row[5])}
    assert tests
    for test in tests:
        assert f"def {test}(" in sources, test
