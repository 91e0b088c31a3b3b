"""Image and text models of transformers: ``hf:PATH_OR_NAME``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from longway.backbones.adapter import (
    LoadedEncoder,
    LoadRequest,
    import_optional,
    load_errors,
    path_or_name,
    public_name,
)
from longway.backbones.pooling import Tokens, first_tensor
from longway.utils.errors import LongwayError
from longway.utils.storage import hash_json, hash_module

_FILTERS = {0: "nearest", 2: "bilinear", 3: "bicubic"}
"""PIL's codes of the resampling filters."""

_NO_LIMIT = 2**31
"""Tokenizers without a maximum length report a huge one, such as 1e30."""

# The class names of the encoders are part of their fingerprints: renaming one invalidates caches and models.


def load(spec: str, request: LoadRequest) -> LoadedEncoder:
    """Load a model from a folder or the hub, with the settings of its image processor or its tokenizer."""
    path = path_or_name(spec)
    name = public_name("hf", path)
    package = import_optional("transformers", "'longway[hf]'", f"backbone {name}")
    with load_errors(name), suppressed_output():
        model = package.AutoModel.from_pretrained(path, use_safetensors=True)
        images = "pixel_values" in (model.main_input_name, *_parts(model))
        texts = model.main_input_name == "input_ids"
        tokenizer = package.AutoTokenizer.from_pretrained(path) if texts else None
        processor = package.AutoImageProcessor.from_pretrained(path, backend="pil") if images else None
    if not images and not texts:
        raise LongwayError(f"backbone {name} takes {model.main_input_name}: choose an image or text model")
    defaults = {} if processor is None else _transform(processor.to_dict(), name)
    if tokenizer is None:
        return LoadedEncoder(name, ImageEncoder(model), defaults=defaults)
    encoder = TextEncoder(model, tokenizer) if processor is None else TwoEncoders(model, tokenizer)
    return LoadedEncoder(name, encoder, defaults=defaults)


class ImageEncoder:
    """Image encoder that wraps a ``PreTrainedModel``.

    The features are the output of ``get_image_features`` if the model has it, else the last hidden state.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __call__(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to features (N, d), tokens (N, t, d) or a map (N, d, h, w)."""
        return image_features(self.network, x)


class TextEncoder:
    """Text encoder that wraps a ``PreTrainedModel`` and its tokenizer.

    The features are the output of ``get_text_features`` if the model has it, else the last hidden state.
    """

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self.network: nn.Module = network
        self.tokenizer = tokenizer
        tokenizer.padding_side = "right"  # so that the first token is never padding
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        positions = getattr(network.config, "max_position_embeddings", None)
        self.max_length = min(length for length in (tokenizer.model_max_length, positions) if length is not None)

    @property
    def fingerprint(self) -> str:
        """Hash of weights, modules, tokenizer and maximum length."""
        parts = [hash_module(self.network), repr(self.network), tokenizer_hash(self.tokenizer)]
        return hash_json([*parts, min(self.max_length, _NO_LIMIT)])

    def encode(self, texts: list[str]) -> Tensor | Tokens:
        """Map texts to tokens, or to features (N, d)."""
        limited = self.max_length < _NO_LIMIT
        tokens = self.tokenizer(
            texts,
            padding=True,
            truncation=limited,
            max_length=self.max_length if limited else None,
            return_tensors="pt",
        ).to(next(self.network.parameters()).device)
        return self.embed_tokens(tokens["input_ids"], tokens["attention_mask"])

    def embed_tokens(self, ids: Tensor, mask: Tensor) -> Tensor | Tokens:
        """Map token ids (N, t) and their attention mask to the output of ``encode``."""
        return text_features(self.network, ids, mask)


class TwoEncoders(TextEncoder):
    """Encoder of images and texts, such as CLIP."""

    def __call__(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to features (N, d)."""
        return image_features(self.network, x)


def image_features(network: Any, x: Tensor) -> Tensor:
    """Map images (N, 3, H, W) to the output of a transformers model."""
    if hasattr(network, "get_image_features"):
        output = network.get_image_features(pixel_values=x)
        return getattr(output, "pooler_output", output)
    return first_tensor(network(pixel_values=x))


def text_features(network: Any, ids: Tensor, mask: Tensor) -> Tensor | Tokens:
    """Map token ids (N, t) and their attention mask to the output of a transformers model."""
    if hasattr(network, "get_text_features"):
        output = network.get_text_features(input_ids=ids, attention_mask=mask)
        return getattr(output, "pooler_output", output)
    return Tokens(first_tensor(network(input_ids=ids, attention_mask=mask)), mask)


def tokenizer_hash(tokenizer: Any) -> str:
    """Hash a tokenizer's vocabulary and rules.

    Truncation and padding are left out, because every call of the tokenizer changes them.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return hash_json([sorted(tokenizer.get_vocab().items()), tokenizer.special_tokens_map])
    rules = json.loads(backend.to_str())
    for name in ("truncation", "padding"):
        rules.pop(name, None)
    return hash_json([rules, tokenizer.special_tokens_map])


@contextmanager
def suppressed_output() -> Iterator[None]:
    """Suppress the progress bars and warnings of transformers while the body loads a model."""
    logging = import_optional("transformers.utils.logging", "'longway[hf]'", "this backbone")
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _parts(model: Any) -> list[str]:
    """Return the main inputs of the sub-models of a model."""
    return [part.main_input_name for part in model.children() if hasattr(part, "main_input_name")]


def _transform(record: dict[str, Any], name: str) -> dict[str, Any]:
    """Convert the settings of an image processor to transform options."""
    found: dict[str, Any] = {"mean": 0.0, "std": 1.0}
    if record.get("do_normalize", True):
        found = {"mean": record["image_mean"], "std": record["image_std"]}
    # These mean and std apply to pixels * rescale_factor with pixels in 0..255; ours apply to pixels / 255.
    factor = 255 * (record.get("rescale_factor", 1 / 255) if record.get("do_rescale", True) else 1.0)
    found = {key: [value / factor for value in _three(values)] for key, values in found.items()}
    found |= _geometry(record)
    number = record.get("resample")
    if record.get("do_resize", True) and number is not None:
        if int(number) not in _FILTERS:
            raise LongwayError(
                f"backbone {name} resizes with PIL's filter {number}, which is not supported: give interpolation="
            )
        found["interpolation"] = _FILTERS[int(number)]
    return found


def _three(values: Any) -> list[float]:
    return list(values) if isinstance(values, list | tuple) else [values] * 3


def _geometry(record: dict[str, Any]) -> dict[str, Any]:
    """Return the image size of the model, and the fraction of the image that its crop keeps."""
    resized, cropped = (_side(record.get(key)) for key in ("size", "crop_size"))
    if record.get("do_center_crop") and cropped is not None:
        return {"size": cropped, "crop": None if resized is None else min(1.0, cropped / resized)}
    if resized is None or not record.get("do_resize", True):
        return {}
    keeps_shape = isinstance(record["size"], dict) and "shortest_edge" in record["size"]
    # Only the shorter side is specified, so the longer one is cropped at the centre.
    return {"size": resized, "crop": record.get("crop_pct", 1.0) if keeps_shape else None}


def _side(value: Any) -> int | None:
    if isinstance(value, dict):
        value = value.get("shortest_edge") or value.get("height")
    return None if value is None else int(value)
