"""Text encoders of sentence-transformers: ``st:PATH_OR_NAME``."""

from __future__ import annotations

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
from longway.backbones.hf import suppressed_output, tokenizer_hash
from longway.utils.errors import LongwayError
from longway.utils.storage import hash_json, hash_module


def load(spec: str, request: LoadRequest) -> LoadedEncoder:
    """Load a model, which includes its pooling, from a folder or the hub."""
    path = path_or_name(spec)
    name = public_name("st", path)
    for option, value in (("layer", request.layer), ("pooling", request.pooling)):
        if value is not None:
            raise LongwayError(f"backbone {name} pools by itself: leave out {option}={value!r}, or load it with hf:")
    package = import_optional("sentence_transformers", "'longway[hf]'", f"backbone {name}")
    with load_errors(name), suppressed_output():
        model = package.SentenceTransformer(path, device=str(request.device), model_kwargs={"use_safetensors": True})
    return LoadedEncoder(name, SentenceEncoder(model))


class SentenceEncoder:
    """Text encoder that wraps a ``SentenceTransformer``."""

    def __init__(self, network: Any) -> None:
        self.network: nn.Module = network
        self._encode = network.encode
        self.tokenizer, self.max_length = network.tokenizer, network.max_seq_length

    @property
    def fingerprint(self) -> str:
        """Hash of weights, modules, tokenizer, maximum length and prompts."""
        parts = [hash_module(self.network), repr(self.network), tokenizer_hash(self.network.tokenizer)]
        return hash_json([*parts, self.network.max_seq_length, self.network.prompts, self.network.default_prompt_name])

    def encode(self, texts: list[str]) -> Tensor:
        """Map texts to features (N, d)."""
        return self._encode(texts, batch_size=len(texts), convert_to_tensor=True, show_progress_bar=False)

    def embed_tokens(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Map token ids (N, t) and their attention mask to the output of ``encode``."""
        return self.network({"input_ids": ids, "attention_mask": mask})["sentence_embedding"]
