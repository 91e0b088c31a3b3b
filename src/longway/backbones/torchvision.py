"""Image models of torchvision: ``torchvision:NAME``."""

from __future__ import annotations

from torch import nn

from longway.backbones.adapter import LoadedEncoder, LoadRequest, import_optional, load_errors
from longway.utils.errors import LongwayError


def load(name: str, request: LoadRequest) -> LoadedEncoder:
    """Create a pretrained model without its last linear layer, with the preprocessing of its default weights."""
    models = import_optional("torchvision.models", "torchvision", f"backbone torchvision:{name}")
    with load_errors(f"torchvision:{name}", "choose a name that torchvision.models.list_models() has"):
        weights = models.get_model_weights(name).DEFAULT
        model = models.get_model(name, weights=None)
        model.load_state_dict(weights.get_state_dict(progress=False, check_hash=True, weights_only=True))
    if hasattr(model, "transform_input"):
        model.transform_input = True  # torchvision sets it for GoogLeNet and Inception made with weights
    if request.layer is None:
        _drop_classifier(model, name)
    transform = weights.transforms()
    (size,), (resized,) = transform.crop_size, transform.resize_size
    defaults = {
        "size": size,
        "mean": transform.mean,
        "std": transform.std,
        "crop": size / resized,
        "interpolation": transform.interpolation.value,
    }
    return LoadedEncoder(f"torchvision:{name}", model, defaults=defaults)


def _drop_classifier(model: nn.Module, name: str) -> None:
    linear = [path for path, part in model.named_modules() if isinstance(part, nn.Linear)]
    if not linear:
        raise LongwayError(f"backbone torchvision:{name} does not end in a linear layer: name one with layer=")
    model.set_submodule(linear[-1], nn.Identity())
