"""The entry point: commands are imported only when they are called, so `shisen --help` is quick."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from typing import Any

import click

from .._core.malloc import collector_paused, keep_freed_memory

COMMANDS = {
    "predict": ("predict", "Predict the most probable classes of images."),
    "explain": ("explain", "Explain predictions by attribution maps."),
    "compare": ("compare", "Compare methods and classes on one image."),
    "activations": ("activations", "Show the activations of every channel."),
    "filters": ("filters", "Generate images that maximally activate channels."),
    "attention": ("attention", "Show the attention of every head of a transformer."),
    "finetune": ("finetune", "Fine-tune a pretrained model on a folder of images."),
    "audit": ("audit", "Audit a model on labeled images: errors and shortcuts."),
    "repair": ("repair", "Repair shortcuts that an audit has shown."),
    "evaluate": ("evaluate", "Evaluate attribution methods by metrics."),
    "recommend": ("evaluate", "Find the best method, layer and options for a model."),
    "sanity": ("evaluate", "Test whether methods depend on the trained weights."),
    "metrics": ("evaluate", "List the evaluation metrics."),
    "serve": ("serve", "Start a local web page that needs no code."),
    "layers": ("lists", "List the layers of a model."),
    "methods": ("lists", "List the attribution methods."),
    "models": ("lists", "List the models that can be loaded by name."),
}


class Lazy(click.Group):
    """A group that imports a command's module when the command is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        with collector_paused():
            module = importlib.import_module(f".{COMMANDS[cmd_name][0]}", __package__)
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        from ..errors import unknown

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(str(unknown("command", args[0], COMMANDS)))
        return super().resolve_command(ctx, args)


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="shisen")
@click.pass_context
def shisen(ctx: click.Context, debug: bool) -> None:
    """Explain image classifiers, and test whether the explanations can be trusted."""
    ctx.obj = {"debug": debug}


def main(args: list[str] | None = None) -> None:
    """Run the command line; exit code 0 done, 1 done with failures listed, 2 wrong usage."""
    words = sys.argv[1:] if args is None else args
    from ..errors import InputError, ShisenError

    if args is None:  # this process is ours
        keep_freed_memory()

    debug = "--debug" in words
    words = [w for w in words if w != "--debug"]
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _as_note(warnings.showwarning)
            code = shisen.main(args=words, prog_name="shisen", standalone_mode=False)
    except click.ClickException as problem:
        problem.show()
        code = problem.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted; finished outputs were kept.", err=True)
        code = 130
    except ShisenError as problem:
        if debug:
            raise
        click.echo(f"Error: {problem}", err=True)
        code = 2 if isinstance(problem, InputError) else 1
    except BrokenPipeError:
        code = 0
    except OSError as problem:
        if debug:
            raise
        click.echo(f"Error: {problem.filename or 'a file'}: {problem.strerror or problem}.", err=True)
        code = 1
    except Exception as problem:
        if debug:
            raise
        click.echo(f"Error: {type(problem).__name__}: {problem}\nUse --debug for the traceback.", err=True)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _as_note(show: Callable[..., None]) -> Callable[..., None]:
    """Return what prints shisen's own warnings as notes, and all others as before."""
    from ..errors import ShisenWarning

    def showwarning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, ShisenWarning):
            click.echo(f"Note: {message}", err=True)
        else:
            show(message, category, *where, **more)

    return showwarning
