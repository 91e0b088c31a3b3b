"""Draw features as pictures, with a diffusion model of the user's that decodes CLIP image embeddings."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from longway.utils.device import resolve_device
from longway.utils.errors import LongwayError

Decoder: TypeAlias = Callable[[np.ndarray], npt.ArrayLike]
"""Maps features (n, d) to pictures (n, h, w, 3), bytes or floats in [0, 1]."""

INPUTS = ("image_embeds", "image_embeddings")
"""Names of the image embeddings among a pipeline's inputs: Stable unCLIP's, and unCLIP's."""


class UnCLIP:
    """Draw features with a diffusers pipeline that takes CLIP image embeddings.

    ``StableUnCLIPImg2ImgPipeline`` and ``UnCLIPImageVariationPipeline`` do. The features must be embeddings of the CLIP
    model that the pipeline was made for, normalised only if the pipeline expects it.

    Parameters
    ----------
    pipeline : diffusers pipeline
        See `load_unclip`.
    seed : int, default 0
        Every row is drawn from the same noise, so that pictures differ only by their features.
    **options
        More arguments of the pipeline's call, such as ``num_inference_steps``.

    Raises
    ------
    LongwayError
        The pipeline takes no image embeddings.
    """

    def __init__(self, pipeline: Any, *, seed: int = 0, **options: Any) -> None:
        known = inspect.signature(pipeline.__call__).parameters
        names = [name for name in INPUTS if name in known]
        if not names:
            raise LongwayError(
                f"decoder: {type(pipeline).__name__} takes no image embeddings: give a StableUnCLIPImg2ImgPipeline or "
                "an UnCLIPImageVariationPipeline"
            )
        self.pipeline, self.seed, self.options = pipeline, seed, options
        self.input = names[0]

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Draw features (n, d) as pictures (n, h, w, 3), floats in [0, 1].

        Raises
        ------
        LongwayError
            The pipeline takes embeddings of another width.
        """
        width = self.width
        if width is not None and features.shape[1] != width:
            raise LongwayError(
                f"decoder draws embeddings of {width} numbers, the features have {features.shape[1]}: give the decoder "
                "of the encoder that made them"
            )
        pictures = []
        for row in torch.from_numpy(np.ascontiguousarray(features, np.float32)):
            embedding = row.unsqueeze(0).to(device=self.pipeline.device, dtype=self.pipeline.dtype)
            noise = torch.Generator("cpu").manual_seed(self.seed)
            call = {self.input: embedding, "generator": noise, "output_type": "np", **self.options}
            pictures.append(np.asarray(self.pipeline(**call).images[0]))
        return np.stack(pictures)

    @property
    def width(self) -> int | None:
        """Width of an embedding; None if the pipeline does not say."""
        encoder = getattr(self.pipeline, "image_encoder", None)
        return getattr(getattr(encoder, "config", None), "projection_dim", None)


def load_unclip(place: str, *, device: str = "auto", seed: int = 0, **options: Any) -> UnCLIP:
    """Load a decoder for CLIP image embeddings with diffusers.

    Parameters
    ----------
    place : str
        Folder of a saved pipeline, or its name on the Hugging Face Hub. Weights are read from safetensors only.
    device : str, default "auto"
        A GPU computes in half precision.
    seed : int, default 0
    **options
        As in `UnCLIP`.

    Raises
    ------
    LongwayError
        diffusers is not installed, the pipeline cannot be loaded, or it takes no image embeddings.
    """
    try:
        import diffusers
    except ImportError as error:
        raise LongwayError("decoder needs diffusers and transformers: pip install 'longway[decode]'") from error
    where = resolve_device(device)
    dtype = torch.float32 if where.type == "cpu" else torch.float16
    try:
        pipeline = diffusers.DiffusionPipeline.from_pretrained(place, torch_dtype=dtype, use_safetensors=True)
    except (OSError, ValueError) as error:
        line = " ".join(str(error).split())[:300]
        raise LongwayError(f"decoder {place} cannot be loaded as a diffusers pipeline: {line}") from error
    pipeline.set_progress_bar_config(disable=True)
    return UnCLIP(pipeline.to(where), seed=seed, **options)
