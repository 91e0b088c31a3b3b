"""Speed of the training loop beside a bare loop in PyTorch, and beside the trainer of pythae.

Run as ``python -m benchmarks training``. Each comparison runs by turns in one process, with the same network, loss,
optimiser, batch size and images in memory; an epoch here is all training steps over the data, without the validation
that a fit adds. The bare loop is written plainly, as one would in a script: a shuffled index, the loss by its formulas,
backward, step. Seconds are the processor's, with one thread, so that other work on the machine counts less. pythae's
beta-VAE is given Longway's encoder and decoder; it is measured where pythae is installed (``pip install --no-deps
pythae imageio``, because one of its requirements would replace a module of Python's own).
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from longway.data.samples import Samples
from longway.methods.sitar.estimator import SitarNet, SitarObjective
from longway.nn.vae import VAE, VAEObjective
from longway.training.loop import Schedule, train
from longway.utils.threads import limited_threads

IMAGES, BATCH, RATE, LATENT, CHANNELS = 2000, 256, 1e-3, 10, (32, 64)
NOISE, BETA, CONSISTENCY = 1.0, 2.0, 10.0
ROUNDS, EPOCHS = 5, 1

Timed = Callable[[np.ndarray, np.ndarray], float]


def sitar(X: np.ndarray, y: np.ndarray) -> float:
    """Return the seconds of Longway's loop with SITAR's published loss."""
    objective = SitarObjective(_sitar_net(X), NOISE, BETA, CONSISTENCY, "sum", class_balanced=False)
    return _longway(objective, X, y)


def bare_sitar(X: np.ndarray, y: np.ndarray) -> float:
    """Return the seconds of the same steps in a bare loop."""
    net, images, labels = _sitar_net(X), torch.from_numpy(X), torch.from_numpy(y)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0)
    start = time.process_time()
    for _ in range(EPOCHS):
        for index in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            _sitar_loss(net, images[index], labels[index]).backward()
            optimizer.step()
    return time.process_time() - start


def _sitar_loss(net: SitarNet, x: Tensor, y: Tensor) -> Tensor:
    code = net.vae.body(x)
    mu, log_variance = net.vae.mean(code), net.vae.log_variance(code)
    z = mu + (log_variance / 2).exp() * torch.randn_like(mu)
    with torch.no_grad():
        a, b = mu - mu.mean(0), y.float() - y.float().mean()
        v = (b @ a).abs() / (a.norm(dim=0) * b.norm())
    clean, noisy = net.classifier(z), net.classifier(z + NOISE * v * torch.randn_like(z))
    reconstruction = (x - net.vae.decoder(z)).square().sum((1, 2, 3)).mean()
    kl = 0.5 * (mu.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
    agreement = (clean - noisy).square().sum(1).mean()
    return reconstruction + BETA * kl + cross_entropy(noisy, y) + CONSISTENCY * agreement


def beta_vae(X: np.ndarray, y: np.ndarray) -> float:
    """Return the seconds of Longway's loop with a beta-VAE."""
    return _longway(VAEObjective(VAE(X.shape[1:], LATENT, CHANNELS), BETA), X, y)


def pythae_beta_vae(X: np.ndarray, y: np.ndarray) -> float:
    """Return the seconds of pythae's trainer with the same beta-VAE."""
    from pythae.models import BetaVAE, BetaVAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    vae = VAE(X.shape[1:], LATENT, CHANNELS)

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.mean, self.log_variance = vae.body, vae.mean, vae.log_variance

        def forward(self, x: Tensor) -> Any:
            code = self.body(x)
            return ModelOutput(embedding=self.mean(code), log_covariance=self.log_variance(code))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers: nn.Module = vae.decoder

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.layers(z))

    config = BetaVAEConfig(input_dim=X.shape[1:], latent_dim=LATENT, beta=BETA)
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=EPOCHS,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            optimizer_cls="AdamW",
            optimizer_params={"weight_decay": 0.0},
            no_cuda=True,
        )
        model = BetaVAE(config, encoder=Encoder(), decoder=Decoder())
        pipeline = TrainingPipeline(model=model, training_config=settings)
        logging.disable(logging.WARNING)  # it reports every epoch
        start = time.process_time()
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipeline(train_data=X)
        seconds = time.process_time() - start
        logging.disable(logging.NOTSET)
        return seconds


def _sitar_net(X: np.ndarray) -> SitarNet:
    return SitarNet(X.shape[1:], 2, LATENT, CHANNELS)


def _longway(objective: nn.Module, X: np.ndarray, y: np.ndarray) -> float:
    rows = Samples(X, y, np.ones(len(y)))
    start = time.process_time()
    train(objective, rows, Schedule(EPOCHS, BATCH, RATE), generator=np.random.default_rng(0), device="cpu")
    return time.process_time() - start


def _by_turns(first: Timed, second: Timed, X: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Return the median seconds of both, and the median of how many times as long the second takes as the first."""
    for timed in (first, second):
        timed(X[: 2 * BATCH], y[: 2 * BATCH])  # warm up
    pairs = [(first(X, y), second(X, y)) for _ in range(ROUNDS)]
    ratio = statistics.median(theirs / ours for ours, theirs in pairs)
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs), ratio


def run() -> dict[str, Any]:
    """Time both comparisons.

    Returns
    -------
    dict
        Images a processor's second of each, ``ratio`` of Longway's speed to the bare loop's, and ``ratio_pythae`` to
        pythae's; or ``pythae_skipped``, with the reason.
    """
    with limited_threads(1):
        return _measured()


def _measured() -> dict[str, Any]:
    """Measure with the threads as they are."""
    generator = np.random.default_rng(0)
    X, y = generator.random((IMAGES, 3, 28, 28), dtype=np.float32), np.arange(IMAGES) % 2
    ours, bare, ratio = _by_turns(sitar, bare_sitar, X, y)
    speed = {"sitar": IMAGES * EPOCHS / ours, "bare_sitar": IMAGES * EPOCHS / bare}
    found: dict[str, Any] = {
        "images_per_second": speed,
        "ratio": ratio,
        "images": IMAGES,
        "size": 28,
        "batch_size": BATCH,
        "rounds": ROUNDS,
        "threads": torch.get_num_threads(),
    }
    if find_spec("pythae") is None:
        return {**found, "pythae_skipped": "pythae is not installed: pip install --no-deps pythae imageio"}
    ours, theirs, found["ratio_pythae"] = _by_turns(beta_vae, pythae_beta_vae, X, y)
    speed |= {"beta_vae": IMAGES * EPOCHS / ours, "pythae_beta_vae": IMAGES * EPOCHS / theirs}
    return {**found, "pythae": version("pythae")}


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
