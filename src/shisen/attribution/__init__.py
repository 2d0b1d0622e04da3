"""Why this answer: attribution methods. Importing the package fills the registry, in the order people meet them."""

# isort: off
from . import gradient, averaged
from . import cam, cam_weights, cam_eigen, cam_tail, masks, full_gradient
from . import perturbation, rise, surrogate
from . import augmented
from . import attention
# isort: on

__all__ = [
    "attention",
    "augmented",
    "averaged",
    "cam",
    "cam_eigen",
    "cam_tail",
    "cam_weights",
    "full_gradient",
    "gradient",
    "masks",
    "perturbation",
    "rise",
    "surrogate",
]
