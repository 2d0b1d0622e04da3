"""Networks of the public hubs, with the preprocessing and the labels that their authors publish."""

from __future__ import annotations

import importlib
import importlib.util
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any
from urllib.request import getproxies

from ..errors import Message, ModelError, ShisenError, explain_error, require, unknown
from .labels import Labels, imagenet
from .model import Model
from .preprocess import Preprocess
from .weight_files import fitted, load_weights, read_weights
from .wrapping import Request, assemble, to_device

RANDOM = "random"
HUGGING_FACE = "huggingface.co"


def load_torchvision(name: str, request: Request) -> Model:
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
    models, base, tag = _torchvision(name, request)
    enum = models.get_model_weights(base)
    published = {w.name: w for w in enum}
    if tag and tag != RANDOM and tag not in published:
        raise unknown(Message("set of weights of {name}", name=base), tag, [*published, RANDOM])
    weights = published.get(tag, enum.DEFAULT)
    # some networks start with auxiliary heads that only training uses; the weights decide that by themselves
    bare = {"init_weights": False} if base in ("googlenet", "inception_v3") else {}

    def build(classes: int | None) -> Any:
        return models.get_model(base, weights=None, **bare, **({} if classes is None else {"num_classes": classes}))

    net = _built(
        build, lambda: models.get_model(base, weights=weights), request, tag == RANDOM, (name, "download.pytorch.org")
    )
    source = _source(request, tag == RANDOM, f"torchvision {weights}")
    labels = _categories(weights.meta.get("categories", ()))
    return _made(net, Preprocess.of(weights.transforms()), labels, request, (name, source))


def torchvision_preprocess(name: str) -> Preprocess:
    """Return what a torchvision classifier expects, such as "resnet50" or "resnet50@IMAGENET1K_V1"."""
    models, base, tag = _torchvision(name, Request())
    enum = models.get_model_weights(base)
    return Preprocess.of({w.name: w for w in enum}.get(tag, enum.DEFAULT).transforms())


def _torchvision(name: str, request: Request) -> tuple[Any, str, str]:
    _framework(request, "torchvision")
    models = _package("torchvision.models", "torchvision")
    known = models.list_models(module=models)
    base, _, tag = _bare(name).partition("@")
    if base not in known:
        raise unknown("torchvision model", base, known, "See `shisen models --search torchvision:`.")
    return models, base, tag


def load_timm(name: str, request: Request) -> Model:
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
    timm, base, tag = _timm(name, request)

    def build(classes: int | None) -> Any:
        return timm.create_model(base, **({} if classes is None else {"num_classes": classes}))

    net = _built(build, lambda: timm.create_model(base, pretrained=True), request, tag == RANDOM, (name, HUGGING_FACE))
    config = timm.data.resolve_data_config({}, model=net)
    labels = _timm_labels(timm, net, int(getattr(net, "num_classes", 0)))
    source = _source(request, bool(tag), f"timm {net.pretrained_cfg.get('hf_hub_id') or base}")
    return _made(net, Preprocess.of(config), labels, request, (name, source))


def timm_preprocess(name: str) -> Preprocess:
    """Return what a timm classifier expects, such as "vit_small_patch16_224"."""
    timm, base, _ = _timm(name, Request())
    config = timm.get_pretrained_cfg(base)
    known = config.to_dict() if config is not None else {}
    return Preprocess.of(timm.data.resolve_data_config({}, pretrained_cfg=known))


def _timm(name: str, request: Request) -> tuple[Any, str, str]:
    _framework(request, "timm")
    timm = _package("timm", "timm")
    base, _, tag = _bare(name).partition("@")
    if not timm.is_model(base):
        raise unknown("timm model", base, timm.list_models(), "See `shisen models --search timm:…`.")
    if tag not in ("", RANDOM):
        raise unknown("kind of weights", tag, [RANDOM], "timm writes the weights' name after a dot.")
    return timm, base, tag


def load_transformers(name: str, request: Request) -> Model:
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
    _framework(request, "transformers")
    hub = _package("transformers", "transformers")
    base, _, tag = _bare(name).partition("@")
    kinds = hub.models.auto.modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES
    if tag not in ("", RANDOM):
        raise unknown("kind of weights", tag, [RANDOM])
    auto = hub.AutoModelForImageClassification
    if "/" not in base and base not in kinds and not _is_folder(base):
        raise unknown("Hugging Face model", base, [*_cached_names(), *kinds], "Names look like google/vit-base-….")
    bare = base in kinds and not _is_folder(base)
    if bare and tag != RANDOM and not request.weights:
        raise ModelError(
            explain_error(
                "A kind of network without a repository has no trained weights.",
                repr(base),
                f"Ask for hf:{base}@random, pass a file of weights, or name a repository such as google/vit-base-….",
            )
        )
    with _reachable(f"hf:{base}", "" if bare or _is_folder(base) else HUGGING_FACE):
        config = hub.AutoConfig.for_model(base) if bare else hub.AutoConfig.from_pretrained(base)
        processor = None if bare else _processor(hub, base)
    preprocess = _usual(config) if processor is None else Preprocess.of(processor)

    def build(classes: int | None) -> Any:
        if classes is not None:
            config.num_labels = classes
        several = kinds.get(config.model_type)
        if isinstance(several, (tuple, list)) and not config.architectures:
            config.architectures = [several[0]]  # otherwise the hub cannot choose
        return auto.from_config(config)

    net = _built(build, lambda: auto.from_pretrained(base), request, tag == RANDOM, (name, HUGGING_FACE))
    names = [str(net.config.id2label[i]) for i in range(int(net.config.num_labels))]
    source = _source(request, bool(tag), f"Hugging Face {base}")
    return _made(net, preprocess, _categories(names), request, (name, source))


def transformers_preprocess(name: str) -> Preprocess:
    """Return what an image classifier of the Hugging Face hub, or of a folder, expects."""
    hub = _package("transformers", "transformers")
    with _reachable(f"hf:{name}", "" if _is_folder(name) else HUGGING_FACE):
        return Preprocess.of(hub.AutoImageProcessor.from_pretrained(name))


def search(text: str) -> list[tuple[str, str, str]]:
    """Return `(name, what it is, what it needs)` of the hubs' classifiers whose full name contains the text."""
    found = []
    wanted = text.lower()
    if importlib.util.find_spec("torchvision"):
        models = _package("torchvision.models", "torchvision")
        for name in models.list_models(module=models):
            found.append((f"torchvision:{name}", "torchvision classifier, ImageNet", "torchvision"))
    if importlib.util.find_spec("timm"):
        found += [(f"timm:{name}", "timm classifier", "timm") for name in _package("timm", "timm").list_models()]
    if importlib.util.find_spec("transformers"):
        found += [(f"hf:{name}", "Hugging Face classifier on this machine", "transformers") for name in _cached_names()]
    return [row for row in found if wanted in row[0].lower()]


# ---- labels


def _categories(names: Sequence[str]) -> Labels:
    """Return the published names; the thousand ImageNet classes get their WordNet ids."""
    if not names or list(names) == [f"LABEL_{i}" for i in range(len(names))]:
        return Labels(())
    known = imagenet()
    same = len(names) == len(known) and sum(
        a.split(",")[0].lower().replace("_", " ") == b.lower().replace("_", " ")
        for a, b in zip(names, known.names, strict=True)
    )
    ids = known.wordnet_ids if same and same > 800 else None
    return Labels(tuple(names), ids)


def _timm_labels(timm: Any, net: Any, classes: int) -> Labels:
    own = (getattr(net, "pretrained_cfg", None) or {}).get("label_names")
    if own and len(own) == classes:
        return _categories([str(n) for n in own])
    subset = timm.data.infer_imagenet_subset(net) if classes else None
    if subset == "imagenet-1k" or (subset is None and classes == 1000):
        return imagenet()
    if subset is None:
        return Labels(())
    info = timm.data.ImageNetInfo(subset)
    ids = info.label_names()
    return Labels(tuple(info.index_to_description(i) for i in range(classes)), tuple(ids))


# ---- building


def _built(
    build: Callable[[int | None], Any],
    pretrained: Callable[[], Any],
    request: Request,
    random: bool,
    origin: tuple[str, str],
) -> Any:
    """Return the network with weights from a file, with random ones, or with those of the hub."""
    if request.weights:
        return _filled(build, request)
    if random:
        return build(None)
    with _reachable(*origin):
        return pretrained()


def _source(request: Request, random: bool, hub: str) -> str:
    return request.weights or ("random weights" if random else hub)


def _made(net: Any, preprocess: Preprocess, labels: Labels, request: Request, names: tuple[str, str]) -> Model:
    classes = _classes_of(net)
    known = labels if classes in (None, len(labels)) else None
    net = to_device(net.eval(), request.device)
    return assemble(net, request, preprocess=preprocess, labels=known, name=names[0], source=names[1])


def _classes_of(net: Any) -> int | None:
    """Return the number of classes as the last linear layer has it."""
    sizes = [m.out_features for m in net.modules() if hasattr(m, "out_features") and hasattr(m, "weight")]
    known = getattr(getattr(net, "config", None), "num_labels", None) or getattr(net, "num_classes", None)
    return int(known) if known else (int(sizes[-1]) if sizes else None)


def _filled(build: Callable[[int | None], Any], request: Request) -> Any:
    """Build the architecture and put in weights from a file; the file decides how many classes there are."""
    path = str(request.weights)
    net = build(None)
    own = net.state_dict()
    weights = fitted(read_weights(path, trust=request.trust), own, path)
    sizes = {
        int(weights[k].shape[0])
        for k in own
        if k in weights and weights[k].ndim and weights[k].shape != own[k].shape and own[k].ndim == weights[k].ndim
    }
    if len(sizes) == 1:
        net = build(sizes.pop())
    load_weights(net, path, trust=request.trust)
    return net


@contextmanager
def _reachable(name: str, host: str) -> Iterator[None]:
    """Turn every way in which a download can fail into one sentence with the ways out.

    If the host cannot be reached, the hub is set to offline mode: it then uses the files on this machine at once,
    instead of trying five times with pauses.
    """
    away = not _reaches(host)
    try:
        with _without_network() if away else nullcontext():
            yield
    except ShisenError:
        raise
    except Exception as problem:
        first = next((line for line in str(problem).splitlines() if line.strip()), "")
        received = f"no connection to {host}" if away else f"{type(problem).__name__}: {first[:160].rstrip('. ')}"
        raise ModelError(
            explain_error(
                f"The trained weights of {name} must be on this machine or within reach of the network.",
                received,
                "Pass a file with --weights (weights=), connect once so that they are kept, take a model that needs "
                f"no download such as efficientnet_lite0, or ask for {name}@random to try the architecture alone.",
            )
        ) from problem


def _reaches(host: str) -> bool:
    """Tell whether a host can be reached; where a proxy or a mirror stands between, that is left to the hub."""
    if not host or getproxies() or os.environ.get("HF_ENDPOINT"):
        return True
    try:
        socket.create_connection((host, 443), timeout=3).close()
    except OSError:
        return False
    return True


@contextmanager
def _without_network() -> Iterator[None]:
    """Keep the hubs to the files on this machine, and quiet about it, for the time of one call."""
    names = ("huggingface_hub.constants", "transformers.utils.hub")
    found: list[Any] = [m for m in map(sys.modules.get, names) if hasattr(m, "HF_HUB_OFFLINE")]
    before = [module.HF_HUB_OFFLINE for module in found]
    try:
        for module in found:
            module.HF_HUB_OFFLINE = True
        with (
            redirect_stderr(StringIO()),
            redirect_stdout(StringIO()),
        ):  # "Downloading …"
            yield
    finally:
        for module, value in zip(found, before, strict=True):
            module.HF_HUB_OFFLINE = value


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


def _cached_names() -> list[str]:
    """Return the Hugging Face repositories that are on this machine."""
    try:
        kept = importlib.import_module("huggingface_hub").scan_cache_dir()
        return sorted(r.repo_id for r in kept.repos if r.repo_type == "model")
    except Exception:  # no cache, or none that can be read: nothing to offer
        return []


def _is_folder(base: str) -> bool:
    from pathlib import Path

    return (Path(base).expanduser() / "config.json").is_file()


def _bare(name: str) -> str:
    """Return the name without the hub in front of it."""
    return name.partition(":")[2] or name


def _package(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as problem:
        raise require(package, "hubs", Message("A model of {package}", package=package)) from problem


def _framework(request: Request, hub: str) -> None:
    if request.framework not in ("", "torch"):
        raise ModelError(
            explain_error(
                f"The models of {hub} run on torch.", f"framework={request.framework!r}", "Leave the framework out."
            )
        )
