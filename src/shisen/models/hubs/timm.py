"""Classifiers of timm."""

from __future__ import annotations

from typing import Any

from ...errors import unknown
from ..labels import Labels, imagenet
from ..model import Model
from ..preprocess import Preprocess
from ..wrapping import Request
from .building import built, made, source_of
from .names import RANDOM, bare_name, categories, package, require_torch
from .network import HUGGING_FACE


def load(name: str, request: Request) -> Model:
    """Load a timm classifier, `timm:vit_small_patch16_224`, or `timm:vit_small_patch16_224@random`.

    Args:
        name: as above.
        request: what the caller requested.

    Returns:
        The model.

    Raises:
        UnknownName: for a network that timm does not have.
        ModelError: if the weights cannot be had, or do not fit.
    """
    timm, base, tag = _named(name, request)

    def build(classes: int | None) -> Any:
        return timm.create_model(base, **({} if classes is None else {"num_classes": classes}))

    net = built(
        build,
        lambda: timm.create_model(base, pretrained=True),
        request,
        random=tag == RANDOM,
        name=name,
        host=HUGGING_FACE,
    )
    config = timm.data.resolve_data_config({}, model=net)
    labels = _labels(timm, net, int(getattr(net, "num_classes", 0)))
    source = source_of(request, bool(tag), f"timm {net.pretrained_cfg.get('hf_hub_id') or base}")
    return made(net, Preprocess.of(config), labels, request, name=name, source=source)


def preprocess(name: str) -> Preprocess:
    """Return what a timm classifier expects, such as "vit_small_patch16_224"."""
    timm, base, _ = _named(name, Request())
    config = timm.get_pretrained_cfg(base)
    known = config.to_dict() if config is not None else {}
    return Preprocess.of(timm.data.resolve_data_config({}, pretrained_cfg=known))


def _named(name: str, request: Request) -> tuple[Any, str, str]:
    require_torch(request, "timm")
    timm = package("timm", "timm")
    base, _, tag = bare_name(name).partition("@")
    if not timm.is_model(base):
        raise unknown("timm model", base, timm.list_models(), "See `shisen models --search timm:…`.")
    if tag not in ("", RANDOM):
        raise unknown("kind of weights", tag, [RANDOM], "timm writes the weights' name after a dot.")
    return timm, base, tag


def _labels(timm: Any, net: Any, classes: int) -> Labels:
    own = (getattr(net, "pretrained_cfg", None) or {}).get("label_names")
    if own and len(own) == classes:
        return categories([str(n) for n in own])
    subset = timm.data.infer_imagenet_subset(net) if classes else None
    if subset == "imagenet-1k" or (subset is None and classes == 1000):
        return imagenet()
    if subset is None:
        return Labels(())
    info = timm.data.ImageNetInfo(subset)
    ids = info.label_names()
    return Labels(tuple(info.index_to_description(i) for i in range(classes)), tuple(ids))
