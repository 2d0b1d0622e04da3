"""What can be loaded by name."""

from __future__ import annotations

from .presets import RECIPES

FORMS = (
    ("package.module:build", "a function of your own that returns a torch or Keras network", "--weights, --labels"),
    ("model.onnx", "an ONNX file; all gradients with onnx2torch", "shisen[onnx], shisen[onnx-gradients]"),
    ("script.pt", "a TorchScript file: gradients of the pixels and methods without gradients", "torch"),
    ("program.pt2", "an exported program, whose reader may unpickle objects: only a file of your own", "--trust"),
    ("whole.pt", "a torch network pickled whole, which executes code: only a file of your own", "--trust"),
    ("SavedModel folder", "a TensorFlow SavedModel, as one layer: only a folder of your own", "tensorflow, --trust"),
    ("run folder", "what `shisen finetune` has written", "torch"),
    ("torchvision:resnet50", "any classifier of torchvision; resnet50@random without its weights", "torchvision"),
    ("timm:vit_small_patch16_224", "any classifier of timm", "timm"),
    ("hf:google/vit-base-patch16-224", "an image classifier of the Hugging Face hub, or a folder", "transformers"),
    (
        "keras:VGG16",
        "any network of keras.applications, by its name there",
        "keras, cached or downloaded weights",
    ),
    ("model.keras, model.h5", "a saved Keras model, read in safe mode", "keras; --size, --scale, --labels"),
)


def listing(search: str = "") -> list[tuple[str, str, str]]:
    """Return `(name, what it is, what it needs)` for built-in models and for the forms of other names.

    With a search, the names of every installed hub are looked through too.
    """
    built_in = [(name, recipe.summary, recipe.weights) for name, recipe in RECIPES.items()]
    found = [row for row in (*built_in, *FORMS) if search.lower() in row[0].lower()]
    if not search:
        return found
    from .hubs.search import search as search_hubs

    return list({row[0]: row for row in (*found, *search_hubs(search))}.values())
