"""Image models of timm: ``timm:NAME``."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from longway.backbones.adapter import LoadedEncoder, LoadRequest, import_optional, load_errors


def load(name: str, request: LoadRequest) -> LoadedEncoder:
    """Create a pretrained model without its classifier, with the preprocessing of its weights."""
    timm = import_optional("timm", "'longway[timm]'", f"backbone timm:{name}")
    # The model pools by itself unless another pooling is requested, which needs the unpooled output.
    options: dict[str, Any] = {} if request.pooling is None else {"global_pool": ""}
    with load_errors(f"timm:{name}", "choose a name that timm.list_models() has"):
        model = timm.create_model(name, pretrained=True, num_classes=0, **options)
    config = timm.data.resolve_model_data_config(model)
    defaults = {
        "size": max(config["input_size"][1:]),
        "mean": config["mean"],
        "std": config["std"],
        "crop": None if config.get("crop_mode") == "squash" else config["crop_pct"],
        "interpolation": config["interpolation"],
    }
    if options and getattr(model, "output_fmt", "NCHW") == "NHWC":
        model = ChannelsFirst(model)
    return LoadedEncoder(f"timm:{name}", model, defaults=defaults)


class ChannelsFirst:
    """A network whose channels-last output is returned in channels-first order."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __call__(self, x: Tensor) -> Tensor:
        """Map images to a map (N, d, h, w)."""
        return self.network(x).movedim(-1, 1)
