"""The command `maskrcnn`: one verb per file of this folder.

Verbs import torch only when they run, so that help and messages about wrong arguments come at once.
"""

from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperCommand

from maskrcnn import __version__

from ..errors import MaskRCNNError
from .ablate import ablate
from .benchmark import benchmark
from .catalog import models
from .console import say
from .convert import convert
from .convert_data import convert_data
from .demo import demo
from .doctor import doctor
from .evaluate import evaluate
from .predict import predict
from .profile import profile
from .propose import propose
from .score import score
from .settings import settings
from .train import train


class Verb(TyperCommand):
    """A verb whose messages about wrong words are those of a person."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of the command line; where an option's value is missing, say what it is."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:  # click's, which typer does not export
            message, name = getattr(error, "message", None), getattr(error, "option_name", None)
            if isinstance(message, str):
                meant = [one for one in self.params if name in one.opts]
                helps = [(getattr(one, "help", None) or "").replace("`", "") for one in meant]
                error.message = " ".join([message.replace("Value error, ", ""), *helps])  # type: ignore[attr-defined]
            raise


app = typer.Typer(
    name="maskrcnn",
    help="Mask R-CNN: find the objects in images, with a box, a class and a mask for each.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (
    train,
    predict,
    evaluate,
    score,
    benchmark,
    propose,
    doctor,
    convert_data,
    demo,
    profile,
    ablate,
    convert,
    settings,
    models,
):
    app.command(cls=Verb)(verb)


def main() -> None:
    """Run the command line; errors a user can act on end it with a message instead of a traceback."""
    try:
        app()
    except MaskRCNNError as error:
        say(Text.assemble(("Error: ", "bold red"), str(error)))
        raise SystemExit(1) from None


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _start(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    pass
