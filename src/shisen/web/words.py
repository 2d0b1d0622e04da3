"""What the page says: the messages in English; `locale/` holds the other languages."""

from __future__ import annotations

from typing import Any

from .._core.i18n import N_, languages, translator

LANGUAGES = languages()

WORDS: dict[str, str] = {
    "tagline": N_("See where an image classifier looks, and check whether the explanation can be trusted."),
    "tab_explain": N_("Explain"),
    "tab_compare": N_("Compare"),
    "tab_inside": N_("Inside"),
    "tab_trust": N_("Trust"),
    "tab_audit": N_("Audit"),
    "images": N_("Images"),
    "image": N_("Image"),
    "upload": N_("Drop an image here, or click to choose one"),
    "previous": N_("‹ Previous"),
    "next": N_("Next ›"),
    "original": N_("original"),
    "map": N_("map"),
    "split": N_("Fraction of the original image that is shown, in percent"),
    "probe_help": N_("Point at the image, or use the arrow keys, to read the value at a position."),
    "unseen": N_("The model did not see this part."),
    "alt_image": N_("Image"),
    "alt_overlay": N_("{method} map for {target} over {name}"),
    "answers": N_("Predictions – click a class to explain it"),
    "method": N_("Method"),
    "layer": N_("Layer"),
    "default_layer": N_("Default: {layer} – {reason}"),
    "no_layer": N_("This method works on the input itself and has no layer."),
    "class_a": N_("Class to explain"),
    "class_b": N_("… rather than"),
    "top_class": N_("(top class)"),
    "nothing": N_("(none)"),
    "against": N_("Show the evidence against the class"),
    "score": N_("Score to explain"),
    "logit": N_("logit"),
    "probability": N_("probability"),
    "log_probability": N_("log-probability"),
    "style": N_("Style"),
    "blend": N_("blend"),
    "mask": N_("mask"),
    "heatmap": N_("heatmap"),
    "contour": N_("contour"),
    "colormap": N_("Colormap"),
    "alpha": N_("Opacity"),
    "png": N_("Download PNG"),
    "json": N_("Download JSON"),
    "again": N_("Reproduce this on the command line or in Python"),
    "command": N_("Command line"),
    "python": N_("Python"),
    "summary": N_("{method} of “{target}” · {chance} · {time}"),
    "chance": N_("prediction: “{label}”, {p:.1%}"),
    "methods": N_("Methods"),
    "how_many": N_("Number of top classes"),
    "go_compare": N_("Compare"),
    "compare_help": N_(
        "Compares several methods on the image chosen under Explain, for its top classes. A second image "
        "or model can be shown beside it, each with its own top classes. Times are for all classes "
        "together."
    ),
    "second_image": N_("Second image"),
    "second_upload": N_("… or drop an image here"),
    "models": N_("Models"),
    "both_models": N_("both"),
    "one_model": N_("To compare two models, start the page with --versus MODEL."),
    "in_work": N_("Comparing"),
    "no_methods": N_("Choose at least one method and one metric."),
    "figure": N_("Comparison"),
    "why_not": N_("Not applicable to this model"),
    "caution": N_("Caution – {method}: {words}."),
    "with_caution": N_("{method} ⚠ caution"),
    "passes": N_("{method}: {n} images evaluated so far"),
    "tab_channels": N_("Channels"),
    "tab_filters": N_("Filters"),
    "tab_attention": N_("Attention"),
    "filters_help": N_(
        "Feature visualization: images optimized from noise to maximize the activation of a channel. They"
        " show which patterns the channel detects."
    ),
    "which_channels": N_("Channel numbers"),
    "which_help": N_(
        "For example 3, 8-11. Leave empty for the four channels with the strongest activation on the image."
    ),
    "bad_channels": N_("Channels are numbers such as 3, 8-11; at most {most} of them."),
    "recipe": N_("Recipe"),
    "go_filters": N_("Generate images"),
    "filters": N_("Feature visualization"),
    "attention_help": N_(
        "Attention maps of every head of every layer for the image chosen under Explain: one head chosen "
        "with sliders, and all heads below it."
    ),
    "no_attention": N_(
        "This model has no attention layers. Start the page with a transformer, for example `--model "
        "timm:vit_tiny_patch16_224`, to see its attention heads here."
    ),
    "go_attention": N_("Show attention"),
    "attention": N_("Layers × heads"),
    "one_head": N_("One head, chosen with sliders"),
    "inside_help": N_("Feature maps: the activation of every channel of a layer on the image chosen under Explain."),
    "order": N_("Order"),
    "magnitude": N_("largest first"),
    "index": N_("by number"),
    "scale": N_("Normalize by"),
    "by_channel": N_("channel"),
    "by_layer": N_("layer"),
    "page": N_("Page"),
    "go_inside": N_("Show feature maps"),
    "ranked": N_("Channels that contribute most to the top class"),
    "grid": N_("All channels"),
    "trust_help": N_(
        "Measures how faithful the maps of each method are on the images of the folder, against control "
        "maps that carry no information about the model, with 95 % confidence intervals."
    ),
    "metrics": N_("Metrics"),
    "count": N_("Number of images"),
    "go_trust": N_("Evaluate"),
    "cancel": N_("Cancel"),
    "canceled": N_("Canceled."),
    "working": N_("{words}: {done} of {total}"),
    "starting": N_("Starting …"),
    "finished": N_("Done: {n} images, {time}."),
    "report": N_("Report"),
    "save_report": N_("Download report"),
    "few_images": N_(
        "A recommendation needs at least {least} images; this folder has {n}. Start the page with --folder."
    ),
    "recommend_help": N_(
        "Which method and layer suit this model? Candidates are searched on half of the folder; the best "
        "one is confirmed on the other half."
    ),
    "budget": N_("Time budget in seconds"),
    "go_recommend": N_("Recommend"),
    "use_it": N_("Use it under Explain"),
    "not_here": N_(
        "This setting averages several layers or several versions of the image, which the page cannot do."
        " Use it on the command line or in Python."
    ),
    "recommended": N_("Use {name} for {model}, the best of {tried} settings."),
    "recommended_default": N_("Keep {name} for {model}: none of {tried} settings was confirmed to be better."),
    "confirmed": N_(
        "{metric} compared with the default on {n} other images: {value:+.3g} (95 % interval {low:+.3g} "
        "to {high:+.3g}, p = {p:.2g}): {verdict}"
    ),
    "reached": N_("On {n} other images: insertion − deletion {one:.3f}, ADCC {two:.1f} %."),
    "too_few": N_(
        "{n} images are too few to confirm a difference: at least {least} are needed, so {all} in the folder."
    ),
    "flipped": N_("flipped"),
    "better": N_("better"),
    "worse": N_("worse"),
    "different": N_("different"),
    "no_clear_difference": N_("no clear difference"),
    "tried": N_("All settings that were tried, on the first half"),
    "tried_heads": N_("setting|images|insertion − deletion|ADCC"),
    "audit_stopped": N_("Canceled. The next audit continues from here."),
    "before": N_("before"),
    "after": N_("after"),
    "alt_member": N_("Image with: {what}"),
    "audit_help": N_(
        "Searches the folder (one subfolder per class) for shortcuts that the model has learned, and "
        "tests them by changing images."
    ),
    "audited": N_("Done: {n} findings, {time}."),
    "no_classes": N_(
        "An audit needs one subfolder of images per class. Start the page with --folder and such a folder."
    ),
    "go_audit": N_("Start audit"),
    "error": N_("This did not work"),
    "busy": N_("A job is already running. Cancel it, or wait until it is done."),
    "unexpected": N_("An unexpected error occurred ({kind}). See the server's log for details."),
    "no_upload": N_("Choose an image first."),
}


def say(key: str, lang: str) -> str:
    """Return a text of the page in a language.

    Args:
        key: one of `WORDS`.
        lang: code of a language.
    """
    return translator(lang)(WORDS[key])


def choices(keys: tuple[str, ...], lang: str) -> list[tuple[str, str]]:
    """Return `(text, key)` pairs for a list to choose from.

    Args:
        keys: keys of the texts.
        lang: language of the text, such as "en" or "ja".
    """
    return [(say(key, lang), key) for key in keys]


class Spoken:
    """Which component of the page shows which texts, so that all of them can change their language at once."""

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self._parts: list[tuple[Any, dict[str, Any]]] = []

    def add(self, part: Any, **says: Any) -> Any:
        """Record that properties of a component are these texts (or lists to choose from), and return it."""
        self._parts.append((part, says))
        return part

    @property
    def parts(self) -> list[Any]:
        """Every component with texts."""
        return [part for part, _ in self._parts]

    def texts(self, says: dict[str, Any], lang: str | None = None) -> dict[str, Any]:
        """Return the properties in a language.

        Args:
            says: key of the text, or texts by property.
            lang: language of the text, such as "en" or "ja".
        """
        spoken = lang or self.lang
        return {k: say(v, spoken) if isinstance(v, str) else v(spoken) for k, v in says.items()}

    def updates(self, lang: str) -> list[dict[str, Any]]:
        """Return for every component its properties in a language."""
        return [self.texts(says, lang) for _, says in self._parts]
