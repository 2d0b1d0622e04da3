"""Image classifiers of the Hugging Face hub."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from ...errors import ModelError, explain_error, unknown
from ..model import Model
from ..preprocess import Preprocess
from ..wrapping import Request
from .building import built, made, source_of
from .names import RANDOM, bare_name, categories, package, require_torch
from .network import HUGGING_FACE, reachable


def load(name: str, request: Request) -> Model:
    """Load an image classifier of the Hugging Face hub, `hf:google/vit-base-patch16-224`, or a folder of that form.

    A bare kind of network, such as `hf:vit@random`, is built from its default configuration with random weights.

    Args:
        name: as above.
        request: what the caller requested.

    Returns:
        The model.

    Raises:
        UnknownName: for a repository or a kind of network that is not known.
        ModelError: if the weights cannot be had, or do not fit.
    """
    require_torch(request, "transformers")
    hub = package("transformers", "transformers")
    base, _, tag = bare_name(name).partition("@")
    kinds = hub.models.auto.modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES
    if tag not in ("", RANDOM):
        raise unknown("kind of weights", tag, [RANDOM])
    auto = hub.AutoModelForImageClassification
    if "/" not in base and base not in kinds and not is_folder(base):
        raise unknown("Hugging Face model", base, [*cached_names(), *kinds], "Names look like google/vit-base-….")
    bare = base in kinds and not is_folder(base)
    if bare and tag != RANDOM and not request.weights:
        raise ModelError(
            explain_error(
                "A kind of network without a repository has no trained weights.",
                repr(base),
                f"Ask for hf:{base}@random, pass a file of weights, or name a repository such as google/vit-base-….",
            )
        )
    with reachable(f"hf:{base}", "" if bare or is_folder(base) else HUGGING_FACE):
        config = hub.AutoConfig.for_model(base) if bare else hub.AutoConfig.from_pretrained(base)
        processor = None if bare else _processor(hub, base)
    expected = _usual(config) if processor is None else Preprocess.of(processor)

    def build(classes: int | None) -> Any:
        if classes is not None:
            config.num_labels = classes
        several = kinds.get(config.model_type)
        if isinstance(several, (tuple, list)) and not config.architectures:
            config.architectures = [several[0]]  # otherwise the hub cannot choose
        return auto.from_config(config)

    net = built(build, lambda: auto.from_pretrained(base), request, random=tag == RANDOM, name=name, host=HUGGING_FACE)
    labels = net.config.id2label or {}  # some families have none by default
    names = [str(labels.get(i, f"LABEL_{i}")) for i in range(int(net.config.num_labels))]
    source = source_of(request, bool(tag), f"Hugging Face {base}")
    return made(net, expected, categories(names), request, name=name, source=source)


def preprocess(name: str) -> Preprocess:
    """Return what an image classifier of the Hugging Face hub, or of a folder, expects."""
    hub = package("transformers", "transformers")
    with reachable(f"hf:{name}", "" if is_folder(name) else HUGGING_FACE):
        return Preprocess.of(hub.AutoImageProcessor.from_pretrained(name))


def _usual(config: Any) -> Preprocess:
    """Return ImageNet's statistics at the configuration's size, where no image processor gives more."""
    side = getattr(config, "image_size", None) or 224
    size = (int(side), int(side)) if isinstance(side, int) else (int(side[0]), int(side[-1]))
    return Preprocess(size, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def _processor(hub: Any, base: str) -> Any:
    try:
        return hub.AutoImageProcessor.from_pretrained(base)
    except (OSError, ValueError):
        return None  # the configuration has the size


def cached_names() -> list[str]:
    """Return the Hugging Face repositories that are on this machine."""
    try:
        kept = importlib.import_module("huggingface_hub").scan_cache_dir()
        return sorted(r.repo_id for r in kept.repos if r.repo_type == "model")
    except Exception:  # no cache, or none that can be read: nothing to offer
        return []


def is_folder(base: str) -> bool:
    """Return whether a name is that of a folder with a network in the form of the hub."""
    return (Path(base).expanduser() / "config.json").is_file()
