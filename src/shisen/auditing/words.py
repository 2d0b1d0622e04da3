"""The report's messages in English; `locale/` holds the other languages."""

from __future__ import annotations

from collections.abc import Mapping

from .._core.i18n import N_, languages, translator

MESSAGES: Mapping[str, str] = {
    "title": N_("Audit of an image classifier"),
    "verdict_low": N_(
        "No shortcut was shown. {n} things go with a class in these images: the model does not use {cleared} "
        "of them; for {open}, that could not be decided."
    ),
    "verdict_none": N_("No shortcut was found in these images."),
    "verdict_few": N_("Too few images to tell: no class has the {n} images that an audit needs at least."),
    "few_classes": N_("Too few images to tell for {n} classes, which have fewer than {least} images: {names}."),
    "accuracy": N_("Accuracy"),
    "images": N_("images"),
    "image_count": N_("images"),
    "accuracy_of": N_("({hits} of {n} images; 95 % interval {low} to {high})."),
    "top": N_("What the model uses"),
    "idle": N_("What else is associated with a class in these images"),
    "idle_only": N_("What is associated with a class in these images"),
    "idle_text": N_("The model was not shown to use these. A model trained again on similar images may."),
    "used": N_("used by the model"),
    "not_used": N_("not used by the model"),
    "not_decided": N_("not decided"),
    "why_no_way": N_("Not decided: it cannot be added to other images."),
    "why_few_images": N_("Not decided: too few images to tell."),
    "why_strong_control": N_("Not decided: it changes predictions, but its control does nearly as much ({control})."),
    "why_weak_copy": N_(
        "Not decided: the copy is too weak; it makes only {fidelity} of the difference that the original "
        "makes inside the network."
    ),
    "why_partial_copy": N_(
        "Not decided: only a part was recovered; the copy makes {fidelity} of the difference that the "
        "original makes inside the network."
    ),
    "why_no_comparison": N_("Not decided: too few images with it or without it to compare the copy with the original."),
    "why_contradiction": N_("Not decided: removing it changes predictions, adding it does not."),
    "why_wide_interval": N_("Not decided: an effect of up to {upper} points cannot be excluded."),
    "why_not_used": N_(
        "Not used: the copy is faithful ({fidelity} of the difference inside the network), and its effect is "
        "below {upper} points with 95 % confidence."
    ),
    "witness": N_("The same difference, added inside the network: {witness} points."),
    "also": N_("The same images also stand out by: {what}. All of it was added together."),
    "nature": N_("Probably natural properties of a class ({n})"),
    "in_data": N_("in the data"),
    "not_in_data": N_("association with the label not proven"),
    "patch": N_("the same patch at {where} of many images"),
    "frame": N_("a frame or a mask around many images"),
    "transform_upside_down": N_("upside-down images"),
    "transform_quarter_left": N_("images on their side (turned left by 90°)"),
    "transform_quarter_right": N_("images on their side (turned right by 90°)"),
    "transform_tilted": N_("tilted images"),
    "transform_zoomed": N_("tightly cropped images"),
    "transform_squeezed": N_("images squeezed in width"),
    "transform_noise": N_("colored noise"),
    "transform_gray_noise": N_("gray grain"),
    "transform_salt_and_pepper": N_("single black and white pixels"),
    "transform_gamma_dark": N_("darkened midtones"),
    "transform_gamma_light": N_("lightened midtones"),
    "transform_haze": N_("haze over the whole image"),
    "transform_hard_contrast": N_("hard contrast"),
    "transform_equalized": N_("equalized tones"),
    "transform_grayscale": N_("grayscale images"),
    "transform_sepia": N_("sepia tones"),
    "transform_hue": N_("shifted hues"),
    "transform_negative": N_("negatives"),
    "transform_posterized": N_("few tones (posterized)"),
    "transform_palette": N_("few colors (a palette)"),
    "transform_no_blue": N_("no blue channel"),
    "transform_blur": N_("blurred images"),
    "transform_motion_blur": N_("motion blur"),
    "transform_median": N_("smoothed detail (median filter)"),
    "transform_pixelated": N_("coarse pixels"),
    "transform_jpeg": N_("strong JPEG compression"),
    "transform_sharpened": N_("sharpening halos"),
    "transform_vignette": N_("dark corners (vignette)"),
    "transform_scan_lines": N_("scan lines"),
    "transform_screen_door": N_("a fine grid over the whole image (screen door)"),
    "transform_interlaced": N_("interlaced lines"),
    "transform_color_fringes": N_("color fringes"),
    "feature_group": N_("a group of images that the network distinguishes from the rest of the class"),
    "transplanted_part": N_("a part of the images that the network relies on, of varying look and position"),
    "control_transform": N_("With another treatment instead: {control}."),
    "control_group": N_("With random groups of the class of equal size instead: {control}."),
    "control_part": N_("With parts of other images of the class instead: {control}."),
    "moving_patch": N_("the same patch in many images, at varying positions"),
    "brightness+": N_("brighter images"),
    "brightness-": N_("darker images"),
    "contrast+": N_("stronger contrast"),
    "contrast-": N_("weaker contrast"),
    "warmth+": N_("warmer colors (more red, less blue)"),
    "warmth-": N_("colder colors (more blue, less red)"),
    "greenness+": N_("greener colors"),
    "greenness-": N_("less green in the colors"),
    "cast+": N_("a warm tint over the whole image, as from a lamp or a filter"),
    "cast-": N_("a cold tint over the whole image, as from shade or a filter"),
    "green_cast+": N_("a green tint over the whole image"),
    "green_cast-": N_("a purple tint over the whole image"),
    "saturation+": N_("stronger colors"),
    "saturation-": N_("paler colors"),
    "sharpness+": N_("sharper detail"),
    "sharpness-": N_("softer, blurred detail"),
    "compression+": N_("traces of strong JPEG compression"),
    "compression-": N_("fewer traces of JPEG compression"),
    "border+": N_("a border of one color"),
    "border-": N_("no border"),
    "text+": N_("text in the image, such as a timestamp"),
    "text-": N_("no text in the image"),
    "noise+": N_("more noise"),
    "noise-": N_("less noise"),
    "aspect+": N_("wider images"),
    "aspect-": N_("taller images"),
    "resolution+": N_("larger image files (more pixels)"),
    "resolution-": N_("smaller image files (fewer pixels)"),
    "headline": N_("“{label}”: {what}"),
    "associated": N_("{n} images have it; {inside} of them are “{label}”."),
    "makes": N_(
        "Added to images of other classes, it makes the model predict “{label}” for {after} of them instead "
        "of {before}."
    ),
    "put_on": N_(
        "Added to {n} images of other classes, it makes the model predict “{label}” for {after} of them "
        "instead of {before}: {effect} points (95 % interval {low} to {high})."
    ),
    "put_on_idle": N_(
        "Added to {n} images of other classes, the model predicts “{label}” for {after} of them, and for "
        "{before} without it: no effect that counts."
    ),
    "control_patch": N_("With a piece of another image at the same position instead: {control}."),
    "control_property": N_("Changed in the opposite direction instead: {control}."),
    "taken_off": N_(
        "Removed from {n} images of “{label}”, the fraction predicted as “{label}” changes from {kept} to {undone}."
    ),
    "taken_off_same": N_("Removed from {n} images of “{label}”, the fraction predicted as “{label}” stays at {kept}."),
    "before": N_("before"),
    "after": N_("after"),
    "as_is": N_("an image that has it"),
    "confusion": N_("Confusion matrix"),
    "rows_true": N_("Rows: true class. Columns: prediction. Click a class, or a number of errors, to see the images."),
    "rows_true_other": N_("rows are true classes, columns are this model's predictions."),
    "largest": N_("Most frequent confusions"),
    "taken_for": N_("predicted as"),
    "calibration": N_("Calibration: is the model right as often as it is confident?"),
    "calibration_text": N_(
        "On average, confidence and accuracy differ by {error} points. Each dot stands for images with "
        "similar confidence, larger for more images; on the dashed line, accuracy equals confidence."
    ),
    "confidence": N_("confidence"),
    "mistakes": N_("Most confident errors"),
    "prediction": N_("prediction"),
    "class": N_("Class"),
    "mean_map": N_("Mean attribution map of this class (yellow: strongest evidence)"),
    "samples": N_("Images and attribution maps"),
    "groups": N_("Images for which the model used the same features"),
    "group": N_("Group of {n}"),
    "unreadable": N_("{n} files could not be read:"),
    "method": N_("Method and limitations"),
    "limits": N_(
        "An audit finds only what it searches for: patches that keep their position or their appearance, and "
        "the global properties listed. A shortcut of another kind, such as an object in the scene, may be "
        "missed. “Used” means that changing the images changes the predictions; whether that is wrong is for "
        "a person to decide. About one in twenty findings called used, or in the data, can be expected to be "
        "due to chance."
    ),
    "maps_usual": N_("gradient × activation at the layer {layer}, in the same pass"),
    "maps_chosen": N_("method {method}"),
    "how": N_(
        "Every image is predicted and attributed ({maps}). Common patches are searched at every position of a"
        " class and compared with other classes; properties are scanned over all thresholds. Each candidate "
        "is then added to images of other classes and removed from its own; images that contain something "
        "else the model uses for their class are excluded where enough others remain. p-values: "
        "hypergeometric with correction for the search; sign-flip permutation against a matched control. "
        "Benjamini–Hochberg at 5 % over all candidates."
    ),
    "candidates": N_("candidates tested"),
    "model": N_("model"),
    "folder": N_("folder"),
    "weights": N_("key of model and images"),
    "not_proven": N_("not proven"),
    "versus_text": N_(
        "{a} is right on {n} images where {b} is wrong, and the other way round on {m}; if the two were "
        "equally good, a difference this large would occur by chance with p {p}."
    ),
    "points": N_("{effect} points"),
    "only_right": N_("Only {who} is right on these ({n} images)"),
    "confused": N_("Images of the most frequent confusions"),
    "maps_by": N_("Images and methods: where each method finds evidence for “{label}”"),
    "image": N_("image"),
    "background_text": N_(
        "{evidence} of the evidence lies in what is probably background, which covers {area} of the images."
    ),
    "glance": N_("At a glance"),
    "details": N_("details"),
    "hardest": N_("Lowest recall"),
    "versions": N_("versions"),
    "versus": N_("The other model"),
    "fraction": N_("fraction"),
    "nobody": N_("none"),
    "top_left": N_("the top left"),
    "top_middle": N_("the top"),
    "top_right": N_("the top right"),
    "left": N_("the left"),
    "center": N_("the center"),
    "right": N_("the right"),
    "bottom_left": N_("the bottom left"),
    "bottom_middle": N_("the bottom"),
    "bottom_right": N_("the bottom right"),
    "around": N_("the border"),
    "everywhere": N_("all parts"),
}

LANGUAGES: Mapping[str, Mapping[str, str]] = {
    lang: {key: translator(lang)(message) for key, message in MESSAGES.items()} for lang in languages()
}
"""Language → key → message."""


def verdict_used(worst: str, n: int, lang: str) -> str:
    """Return the headline about a model that uses something it should not.

    Args:
        worst: severity of the worst finding, "high" or "medium".
        n: number of things that the model uses.
        lang: code of a language.
    """
    _ = translator(lang)
    if worst == "high":
        return _.plural(
            "Do not trust this model yet: it relies on a shortcut.",
            "Do not trust this model yet: it relies on {n} shortcuts.",
            n,
        )
    return _.plural(
        "Check this model: its predictions are influenced by one thing that need not belong to the class.",
        "Check this model: its predictions are influenced by {n} things that need not belong to the class.",
        n,
    )
