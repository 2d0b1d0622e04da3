"""shisen layers, shisen methods, shisen models"""

from __future__ import annotations

import json
from typing import Any

import click

from .common import load_model
from .model_options import model_options
from .options import json_option
from .tables import table


@click.command()
@model_options
@json_option
def layers(as_json: bool, **choice: Any) -> None:
    """List the layers of a model: path, kind, shape and parameters. The default layer is marked."""
    model = load_model(choice)
    found = model.layers
    if as_json:
        click.echo(json.dumps([vars(layer) for layer in found], ensure_ascii=False))
        return
    rows = [
        [
            "→" if layer.default else "",
            layer.path,
            layer.kind,
            " × ".join(str(s) for s in layer.shape),
            f"{layer.parameters:,}" if layer.parameters else "",
        ]
        for layer in found
    ]
    table(f"{model.name}: {len(found)} layers", ["", "path", "kind", "shape", "parameters"], rows, ["parameters"])
    for layer in found:
        if layer.default:
            click.echo(f"Default layer: {layer.path} ({layer.reason}).")


@click.command()
@json_option
def methods(as_json: bool) -> None:
    """List the attribution methods with their properties and options."""
    from ..registry import METHODS

    if as_json:
        fields = ("family", "unit", "signed", "shows", "complete", "passes", "class_specific", "paper", "caution")
        click.echo(
            json.dumps(
                [
                    {
                        "name": m.name,
                        "summary": m.summary,
                        **{f: getattr(m, f) for f in fields},
                        "options": {k: p.default for k, p in m.options.items()},
                    }
                    for m in METHODS.values()
                ],
                ensure_ascii=False,
                default=str,
            )
        )
        return
    rows = [
        [
            m.name,
            m.family,
            m.summary + (f" Caution: {m.caution}." if m.caution else ""),
            m.passes,
            ", ".join(f"{k}={p.default}" for k, p in m.options.items()),
            m.paper,
        ]
        for m in METHODS.values()
    ]
    table(f"{len(rows)} methods", ["name", "family", "description", "passes", "options (-O)", "paper"], rows)


@click.command()
@click.option("--search", default="", help="List only names that contain this text.")
def models(search: str) -> None:
    """List the models that can be loaded by name, and the forms of other names."""
    from ..models.catalog import listing

    rows = [row for row in listing(search) if search.lower() in row[0].lower()]
    table("Models", ["name", "description", "needs"], rows)
