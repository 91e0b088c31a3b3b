"""Set-up of Lightning Fabric for the training loop; imported on demand, as it costs a second and 80 MB."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision
from lightning_fabric.strategies import DDPStrategy
from torch import nn

from longway.training.distributed import share_batches
from longway.training.options import TrainingOptions
from longway.utils.errors import LongwayError

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells of each process that it starts


class AutocastOnly(MixedPrecision):
    """Mixed precision that does not cast the inputs.

    Fabric's own rounds them to 16 bits, and so all that a loss compares with them; autocast rounds where it pays.
    """

    def convert_input(self, data: Any) -> Any:
        """Return the data unchanged."""
        return data


def make_fabric(options: TrainingOptions, device: torch.device) -> Fabric:
    """Return the Fabric that hides devices and precision from the loop.

    Parameters
    ----------
    options : TrainingOptions
    device : torch.device
        One device, or the kind of several.
    """
    plugins: list[Any] = []
    if options.mixed_precision != "32-true":
        plugins.append(AutocastOnly(options.mixed_precision, device.type))  # type: ignore[arg-type]
    if options.devices == 1:
        one = 1 if device.index is None else [device.index]
        return Fabric(accelerator=device.type, devices=one, plugins=plugins)
    strategy = DDPStrategy(start_method="spawn")
    return Fabric(accelerator=device.type, strategy=strategy, devices=options.devices, plugins=plugins)


def launch(fabric: Fabric, work: Callable[[Fabric], None], objective: nn.Module) -> None:
    """Run ``work`` in as many processes as the fabric has devices.

    Parameters
    ----------
    fabric : Fabric
    work : callable
        Takes the fabric of its process. It and what it holds are sent to each process.
    objective : nn.Module
        What it trains.

    Raises
    ------
    LongwayError
        What the processes raised.
    """
    if message := fabric.launch(_Process(work, objective)):
        raise LongwayError(message)


class _Process:
    """The function that each process runs; importing this module silences Fabric there too."""

    def __init__(self, work: Callable[[Fabric], None], objective: nn.Module) -> None:
        self.work, self.objective = work, objective

    def __call__(self, fabric: Fabric) -> str | None:
        """Return the error that all processes report together."""
        share_batches()
        with torch.no_grad():
            for tensor in (*self.objective.parameters(), *self.objective.buffers()):
                tensor.data = tensor.data.clone()  # processes are started with memory that they share
        try:
            self.work(fabric)
        except LongwayError as error:
            return str(error)
        finally:
            # A process that ends with threads of the group at work may be aborted
            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()
        return None
