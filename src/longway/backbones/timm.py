"""Image models of timm: ``timm:NAME``."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from longway.backbones.adapter import Loaded, Wish, needed, one_line
from longway.utils.errors import LongwayError


def load(name: str, wish: Wish) -> Loaded:
    """Create a pretrained model without its classifier, with the preprocessing of its weights."""
    timm = needed("timm", "'longway[timm]'", f"backbone timm:{name}")
    # The model's own pooling unless another is asked for, which takes what comes before it
    options: dict[str, Any] = {} if wish.pooling is None else {"global_pool": ""}
    try:
        model = timm.create_model(name, pretrained=True, num_classes=0, **options)
    except Exception as error:
        raise LongwayError(
            f"backbone timm:{name} cannot be loaded ({one_line(error)}): choose a name that timm.list_models() has"
        ) from error
    config = timm.data.resolve_model_data_config(model)
    sides = set(config["input_size"][1:])
    squeezed = config.get("crop_mode") == "squash"
    defaults = {
        "size": max(sides),
        "mean": config["mean"],
        "std": config["std"],
        "crop": None if squeezed else config["crop_pct"],
        "interpolation": config["interpolation"],
    }
    if options and getattr(model, "output_fmt", "NCHW") == "NHWC":
        model = ChannelsFirst(model)
    return Loaded(f"timm:{name}", model, defaults=defaults)


class ChannelsFirst:
    """A network with its channels-last output in channels-first order."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __call__(self, x: Tensor) -> Tensor:
        """Map images to a map (N, d, h, w)."""
        return self.network(x).movedim(-1, 1)
