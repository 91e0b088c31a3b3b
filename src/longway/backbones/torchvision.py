"""Image models of torchvision: ``torchvision:NAME``."""

from __future__ import annotations

from torch import nn

from longway.backbones.adapter import Loaded, Wish, needed, one_line
from longway.utils.errors import LongwayError


def load(name: str, wish: Wish) -> Loaded:
    """Create a pretrained model without its last linear layer, with the preprocessing of its default weights."""
    models = needed("torchvision.models", "torchvision", f"backbone torchvision:{name}")
    try:
        weights = models.get_model_weights(name).DEFAULT
        model = models.get_model(name, weights=None)
        model.load_state_dict(weights.get_state_dict(progress=False, check_hash=True, weights_only=True))
    except Exception as error:
        raise LongwayError(
            f"backbone torchvision:{name} cannot be loaded ({one_line(error)}): choose a name that "
            "torchvision.models.list_models() has"
        ) from error
    if hasattr(model, "transform_input"):
        model.transform_input = True  # as these networks have it when they are made with weights
    if wish.layer is None:
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
    return Loaded(f"torchvision:{name}", model, defaults=defaults)


def _drop_classifier(model: nn.Module, name: str) -> None:
    linear = [path for path, part in model.named_modules() if isinstance(part, nn.Linear)]
    if not linear:
        raise LongwayError(f"backbone torchvision:{name} does not end in a linear layer: name one with layer=")
    model.set_submodule(linear[-1], nn.Identity())
