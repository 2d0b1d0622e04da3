"""Classifiers of torchvision."""

from __future__ import annotations

from typing import Any

from ...errors import Message, unknown
from ..model import Model
from ..preprocess import Preprocess
from ..wrapping import Request
from .building import built, made, source_of
from .names import RANDOM, bare_name, categories, package, require_torch


def load(name: str, request: Request) -> Model:
    """Load a torchvision classifier, `torchvision:resnet50`, or `torchvision:resnet50@random` without its weights.

    A name after "@" picks one of the published weights; the newest ones are taken otherwise. Preprocessing and
    categories are those of the weights.

    Args:
        name: as above.
        request: what the caller requested.

    Returns:
        The model.

    Raises:
        UnknownName: for a network or weights that torchvision does not have.
        ModelError: if the weights cannot be had, or do not fit.
    """
    models, base, tag = _named(name, request)
    enum = models.get_model_weights(base)
    published = {w.name: w for w in enum}
    if tag and tag != RANDOM and tag not in published:
        raise unknown(Message("set of weights of {name}", name=base), tag, [*published, RANDOM])
    weights = published.get(tag, enum.DEFAULT)
    # some networks start with auxiliary heads that only training uses; the weights decide that by themselves
    bare = {"init_weights": False} if base in ("googlenet", "inception_v3") else {}

    def build(classes: int | None) -> Any:
        return models.get_model(base, weights=None, **bare, **({} if classes is None else {"num_classes": classes}))

    net = built(
        build,
        lambda: models.get_model(base, weights=weights),
        request,
        random=tag == RANDOM,
        name=name,
        host="download.pytorch.org",
    )
    source = source_of(request, tag == RANDOM, f"torchvision {weights}")
    labels = categories(weights.meta.get("categories", ()))
    return made(net, Preprocess.of(weights.transforms()), labels, request, name=name, source=source)


def preprocess(name: str) -> Preprocess:
    """Return what a torchvision classifier expects, such as "resnet50" or "resnet50@IMAGENET1K_V1"."""
    models, base, tag = _named(name, Request())
    enum = models.get_model_weights(base)
    return Preprocess.of({w.name: w for w in enum}.get(tag, enum.DEFAULT).transforms())


def _named(name: str, request: Request) -> tuple[Any, str, str]:
    require_torch(request, "torchvision")
    models = package("torchvision.models", "torchvision")
    known = models.list_models(module=models)
    base, _, tag = bare_name(name).partition("@")
    if base not in known:
        raise unknown("torchvision model", base, known, "See `shisen models --search torchvision:`.")
    return models, base, tag
