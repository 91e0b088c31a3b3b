"""Lightning Fabric as the training loop wants it; imported where it is used, as it costs a second and 80 MB."""

from __future__ import annotations

from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision
from lightning_fabric.strategies import DDPStrategy

from longway.options import TrainingOptions


class AutocastOnly(MixedPrecision):
    """Mixed precision that leaves the inputs as they are.

    Fabric's own rounds them to 16 bits, and so all that a loss compares with them; autocast rounds where it pays.
    """

    def convert_input(self, data: Any) -> Any:
        """Return the data untouched."""
        return data


def make_fabric(options: TrainingOptions, device: torch.device) -> Fabric:
    """Return what hides devices and precision from the loop.

    Parameters
    ----------
    options : TrainingOptions
    device : torch.device
        One device, or the kind of several.
    """
    plugins: list[Any] = []
    if options.precision != "32-true":
        plugins.append(AutocastOnly(options.precision, device.type))  # type: ignore[arg-type]
    if options.devices == 1:
        one = 1 if device.index is None else [device.index]
        return Fabric(accelerator=device.type, devices=one, plugins=plugins)
    # Losses gather what they need of a batch, so that buffers are alike everywhere already
    strategy = DDPStrategy(start_method="spawn", broadcast_buffers=False)
    return Fabric(accelerator=device.type, strategy=strategy, devices=options.devices, plugins=plugins)
