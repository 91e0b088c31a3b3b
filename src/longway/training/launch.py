"""Set-up of Lightning Fabric for the training loop; imported on demand, because it costs a second and 80 MB."""

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

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it logs the start of every process


class AutocastOnly(MixedPrecision):
    """Mixed precision that leaves the inputs in single precision.

    Fabric's own class casts them to 16 bits, which also rounds the targets of a reconstruction loss.
    """

    def convert_input(self, data: Any) -> Any:
        """Return the data unchanged."""
        return data


def make_fabric(options: TrainingOptions, device: torch.device) -> Fabric:
    """Create the Fabric for these options; without an index, ``device`` is the type of several devices."""
    plugins: list[Any] = []
    if options.mixed_precision != "32-true":
        plugins.append(AutocastOnly(options.mixed_precision, device.type))  # type: ignore[arg-type]
    if options.devices == 1:
        one = 1 if device.index is None else [device.index]
        return Fabric(accelerator=device.type, devices=one, plugins=plugins)
    strategy = DDPStrategy(start_method="spawn")
    return Fabric(accelerator=device.type, strategy=strategy, devices=options.devices, plugins=plugins)


def launch(fabric: Fabric, work: Callable[[Fabric], None], objective: nn.Module) -> None:
    """Run ``work`` in one process per device of the fabric.

    Parameters
    ----------
    fabric : Fabric
    work : callable
        Takes the fabric of its process. It is pickled, with everything that it refers to.
    objective : nn.Module
        The module that ``work`` trains.

    Raises
    ------
    LongwayError
        If the processes raised one.
    """
    if message := fabric.launch(_Process(work, objective)):
        raise LongwayError(message)


class _Process:
    """Entry point of a process; a class of this module, so that unpickling it silences Fabric's logger there too."""

    def __init__(self, work: Callable[[Fabric], None], objective: nn.Module) -> None:
        self.work, self.objective = work, objective

    def __call__(self, fabric: Fabric) -> str | None:
        """Run the work; return the message of a LongwayError, which all processes raise together."""
        share_batches()
        with torch.no_grad():
            for tensor in (*self.objective.parameters(), *self.objective.buffers()):
                tensor.data = tensor.data.clone()  # unpickled tensors share their memory between processes
        try:
            self.work(fabric)
        except LongwayError as error:
            return str(error)
        finally:
            # A process that exits while threads of the group still run may be aborted.
            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()
        return None
