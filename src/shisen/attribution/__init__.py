"""Why this answer: attribution methods. Importing the package registers them, in the order people meet them."""

# isort: off
from . import gradient, path_and_noise, expected_gradients, paths, xrai
from . import cam, cam_weights, cam_shapley, cam_eigen, cam_statistics, cam_perturbation, score_cam, full_gradient
from . import perturbation, rise, lime_shap, sensitivity_indices, adaptive_sampling
from . import test_time_augmentation, smoothing
from . import attention
# isort: on

__all__ = [
    "adaptive_sampling",
    "attention",
    "cam",
    "cam_eigen",
    "cam_perturbation",
    "cam_shapley",
    "cam_statistics",
    "cam_weights",
    "expected_gradients",
    "full_gradient",
    "gradient",
    "lime_shap",
    "path_and_noise",
    "paths",
    "perturbation",
    "rise",
    "score_cam",
    "sensitivity_indices",
    "smoothing",
    "test_time_augmentation",
    "xrai",
]
