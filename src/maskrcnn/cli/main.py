"""The command `maskrcnn`: one verb per file of this folder.

Verbs import torch only when they run, so that help and messages about wrong arguments come at once.
"""

import shlex
import sys
import tempfile
import traceback
from typing import Annotated, Any, NoReturn

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
    """Run the command line; errors end it with a message, and what nobody foresaw leaves its traceback in a file."""
    try:
        app()
    except MaskRCNNError as error:
        _stop(str(error))
    except Exception as error:
        _stop(_unforeseen(error))


def _stop(message: str) -> NoReturn:
    say(Text.assemble(("Error: ", "bold red"), message))
    raise SystemExit(1) from None


def _unforeseen(error: Exception) -> str:
    """What happened in one line, what helps, and the file of the traceback, or that itself where no file can be."""
    trace = "".join(traceback.format_exception(error))
    what = f"{type(error).__name__}: {error}".splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, OSError):
        what += ". Check that the place can be read and written, and has room"
    elif isinstance(error, MemoryError) or "out of memory" in what or "can't allocate memory" in what:
        what += ". Memory is full: give smaller images (input.min_size, input.max_size) or batches (data.batch_size)"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="maskrcnn-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(f"maskrcnn {__version__}: {shlex.join(sys.argv[1:])}\n\n{trace}")
    except OSError:
        return f"{what}.\n{trace}"
    return f"{what}. If this looks like a fault of maskrcnn, please report it with {file.name}."


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
