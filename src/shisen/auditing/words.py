"""Messages of the report that are chosen by what was found; `locale/` holds the other languages."""

from __future__ import annotations

from collections.abc import Mapping

from .._core.i18n import N_
from .findings import State

MAKES = N_(
    "Given to {n} images of other classes, it makes the model predict “{label}” for {after} of them instead of "
    "{before} (change: {low} to {high} points with 95 % confidence)."
)
PUT_ON = N_(
    "Given to {n} images of other classes, it makes the model predict “{label}” for {after} of them instead of "
    "{before}: {effect} points (95 % interval {low} to {high})."
)
PUT_ON_IDLE = N_(
    "Given to {n} images of other classes, the model predicts “{label}” for {after} of them, and for {before} "
    "without it: no effect that counts."
)
REMOVED = N_(
    "Removed from {n} images of “{label}”, the fraction predicted as “{label}” changes from {kept} to {undone}."
)
REMOVED_SAME = N_("Removed from {n} images of “{label}”, the fraction predicted as “{label}” stays at {kept}.")

INSIDE = N_(
    "Copies on the pixels were poor, so it was added inside the network: what sets the feature maps of these images "
    "apart from those of the rest of the class."
)

STATES: Mapping[State, str] = {
    "used": N_("used by the model"),
    "not_used": N_("not used by the model"),
    "not_decided": N_("not decided"),
}
"""State of a finding → its name."""

REASONS: Mapping[str, str] = {
    "no_way": N_("Not decided: it cannot be added to other images."),
    "few_images": N_("Not decided: too few images to tell."),
    "only_alike": N_("Not decided: these images may only look as if they had been treated in this way."),
    "strong_control": N_("Not decided: it changes predictions, but its control does nearly as much ({control})."),
    "weak_copy": N_(
        "Not decided: the copy is too weak; it makes only {fidelity} of the difference that the original "
        "makes inside the network."
    ),
    "partial_copy": N_(
        "Not decided: only a part was recovered; the copy makes {fidelity} of the difference that the "
        "original makes inside the network."
    ),
    "no_comparison": N_("Not decided: too few images with it or without it to compare the copy with the original."),
    "contradiction": N_("Not decided: removing it changes predictions, adding it does not."),
    "elsewhere": N_(
        "Not decided: copies of it change predictions, but the images of other classes that have it by themselves are "
        "not predicted as this class."
    ),
    "wide_interval": N_("Not decided: an effect of up to {upper} points cannot be excluded."),
    "not_reached": N_("Not decided: not reached within the budget."),
    "not_used": N_(
        "Not used: the copy is faithful ({fidelity} of the difference inside the network), and its effect is "
        "below {upper} points with 95 % confidence."
    ),
}
"""What decided about a finding → a sentence."""

DECIDE: Mapping[str, str] = {
    "few_images": N_("What would decide it: more images of “{label}” that have it, at least five."),
    "no_way": N_(
        "What would decide it: images of “{label}” without it and of other classes with it, taken or edited by "
        "hand; see how the model predicts them."
    ),
    "strong_control": N_(
        "What would decide it: more images, or images of other classes that have it by themselves. Look at the "
        "images before you rely on this class."
    ),
    "weak_copy": N_(
        "What would decide it: images of other classes that really have it; the audit could not copy it well enough."
    ),
    "partial_copy": N_(
        "What would decide it: images of other classes that really have it; the audit could only copy a part of it."
    ),
    "no_comparison": N_("What would decide it: at least five images of “{label}” with it, and five without it."),
    "contradiction": N_(
        "What would decide it: images of other classes that really have it. Treat it as used until then."
    ),
    "elsewhere": N_(
        "What would decide it: compare the images that have it. Either those of other classes have something else, or "
        "the copies brought along something else."
    ),
    "wide_interval": N_("What would decide it: more images of other classes; 59 without any effect exclude 5 points."),
    "only_alike": N_(
        "What would decide it: find out from the files, or from whoever made them, whether the images of “{label}” "
        "were treated like this."
    ),
    "not_reached": N_("What would decide it: run the same audit again, with a larger budget or none."),
}
"""Why something is not decided → what would decide it."""

TODO: Mapping[str, str] = {
    "patch": N_(
        "What to do: remove or cover it in the training images of “{label}”, or add it to images of all classes "
        "equally often. Train again, and repeat the audit."
    ),
    "treatment": N_(
        "What to do: find out why images of “{label}” were made or processed differently. Process all classes the same "
        "way, or change images of all classes like this at random in training. Train again, and repeat the audit."
    ),
    "nature": N_(
        "What to do: if this is what “{label}” looks like by nature, nothing is wrong. If not, process all classes the "
        "same way, or change images of all classes like this at random in training; train again, and repeat the audit."
    ),
    "look": N_(
        "What to do: look at the images. If what they have in common does not belong to “{label}”, collect images of "
        "“{label}” without it and of other classes with it. Train again, and repeat the audit."
    ),
    "not_used": N_(
        "What to do: nothing for this model. A model trained again on such images may use it, so balance it if you can."
    ),
    "pushes": N_(
        "What to do: images that have it are predicted worse. Add such images of the class to the training images, "
        "train again, and repeat the audit."
    ),
}
"""Kind of what is used, or "not_used" or "pushes" → what to do."""

PUSHES = N_(
    "It pushes images away from “{label}”: {before} of {n} images are predicted as “{label}” without it, {after} "
    "with it, and {control} with its control; most of the lost ones are predicted as “{gains}”."
)
PUSHES_OWN = N_(
    "It pushes images away from their own class: removed from {n} images of “{label}”, the fraction predicted as "
    "“{label}” rises from {kept} to {undone}."
)

NAMES: Mapping[str, str] = {
    "patch": N_("the same patch at {where} of many images"),
    "frame": N_("a frame or a mask around many images"),
    "transform_upside_down": N_("upside-down images"),
    "transform_on_its_side": N_("images on their side"),
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
    "transform_solarized": N_("solarized tones"),
    "transform_channels_swapped": N_("swapped color channels"),
    "transform_webp": N_("strong WebP compression"),
    "transform_eroded": N_("thickened dark detail (minimum filter)"),
    "transform_dilated": N_("thickened bright detail (maximum filter)"),
    "transform_wavy": N_("wavy lines"),
    "transform_elastic": N_("elastic distortion"),
    "transform_glass": N_("ground glass over the image"),
    "transform_bulging": N_("wide-angle distortion"),
    "transform_keystone": N_("converging verticals (keystone)"),
    "transform_stretched": N_("images squeezed in height"),
    "transform_ghost": N_("a second, paler image (ghost)"),
    "transform_zoom_blur": N_("zoom blur"),
    "transform_coarse_grain": N_("coarse gray grain"),
    "transform_speckled": N_("speckle noise"),
    "transform_streaked": N_("thin bright streaks"),
    "transform_specked": N_("bright specks"),
    "transform_single_pixels": N_("single white pixels, always the same"),
    "transform_lit_from_a_side": N_("light from one side"),
    "transform_shaded": N_("large dark patches"),
    "transform_glowing": N_("glowing highlights"),
    "transform_without_blocks": N_("missing blocks"),
    "transform_halftoned": N_("a halftone screen"),
    "transform_dithered": N_("few colors, dithered"),
    "feature_group": N_("a group of images that the network distinguishes from the rest of the class"),
    "transplanted_part": N_("a part of the images that the network relies on, of varying look and position"),
    "control_transform": N_("With another treatment instead: {control}."),
    "control_group": N_("With other groups of similar images of the class instead: {control}."),
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
    "control_patch": N_("With a piece of another image at the same position instead: {control}."),
    "control_property": N_("Changed in the opposite direction instead: {control}."),
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
"""Kind of artefact or of its control, and position in an image → its name; see `Artefact.words`."""
