"""Kinds of artefacts, one file each: it proposes candidates, puts them on images, takes them off and names them."""

from __future__ import annotations

from ..._core import plugins
from .base import Artefact
from .feature_group import FeatureGroup
from .fixed_patch import FixedPatch
from .moving_patch import MovingPatch
from .property import GlobalProperty
from .text_overlay import TextOverlay
from .transform import Treatment
from .transplanted_part import TransplantedPart

REGISTERED: list[type[Artefact]] = [
    FixedPatch,
    MovingPatch,
    TextOverlay,
    Treatment,
    FeatureGroup,
    TransplantedPart,
    GlobalProperty,
]


def register(kind: type[Artefact]) -> type[Artefact]:
    """Add a kind of artefact; it proposes after those that are there. Usable as a decorator."""
    if kind not in REGISTERED:
        REGISTERED.append(kind)
    return kind


def kinds() -> tuple[type[Artefact], ...]:
    """Return all kinds, those of other packages included, in the order in which they propose."""
    for kind in plugins.load(plugins.ARTEFACTS):
        register(kind)
    return tuple(REGISTERED)
