"""The command line: a table of verbs, each imported only when it is called, and one place where errors are printed.

A verb V is a plain function ``V`` with typer annotations (or a `typer.Typer` of that name, for a verb with verbs of its
own) in ``limpid/cli/V.py`` (``V_`` where V is a word of Python's); typer makes its options from the signature. Help
lines stand in `VERBS`, so that ``limpid --help`` imports no verb.
"""

from __future__ import annotations

import importlib
import keyword
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from limpid import __version__
from limpid.core import command
from limpid.core.errors import LimpidError, did_you_mean

VERBS: dict[str, str] = {
    "demo": "The whole line: tokenizer, pretraining, fine-tuning, reward model, RL, report.",
    "data": "List the catalogue of data sets, fetch one, or inspect what a stage learns from.",
    "tokenize": "Train a tokenizer, use any, or compare the kinds on one sentence.",
    "pretrain": "Train a model on a corpus from a recipe.",
    "seq2seq": "Train a translator on sentence pairs.",
    "sft": "Fine-tune a model on conversations.",
    "distill": "Train a smaller model on what a larger one knows.",
    "reward": "Train a reward model on pairs of answers.",
    "dpo": "Improve a chat model on pairs of answers directly: DPO, IPO, KTO or ORPO.",
    "grpo": "Improve a chat model by RL that compares its answers (GRPO, RLOO, DAPO ...).",
    "ppo": "Improve a chat model by RL with a value model (PPO).",
    "compare": "Ask several runs the same questions: who wins, and what was forgotten.",
    "classify": "Turn a pretrained model into a classifier, or ask one.",
    "generate": "Continue a text, and show the probabilities if asked.",
    "translate": "Translate lines with a trained translator.",
    "chat": "Talk with a model in the terminal.",
    "serve": "Serve models to the clients of OpenAI's API.",
    "skipgram": "Learn word vectors from a text.",
    "inspect": "Open a model on a text: attention, logit lens, attribution, ablation.",
    "embed": "Open a model's word vectors: neighbours, analogies, one-hot and dense, tests.",
    "import": "Bring a model in Hugging Face's form into a run.",
    "export": "Write a run for transformers and vLLM, for peft, for llama.cpp, or as two files.",
    "compress": "Compress a file, without loss, by what a model expects.",
    "decompress": "Bring back a file that compress made.",
    "lesson": "Learn by doing: each idea behind it all as a short program that runs.",
    "completion": "Complete limpid's words with TAB in bash, zsh or fish.",
    "doctor": "Say what this machine can do, and what is wrong with the installation.",
    "runs": "List the runs, or show one.",
    "models": "List model families and presets: parameters, and the memory they need.",
}
MISUSE = 2  # the exit code of a command line that cannot be understood


class Misuse(LimpidError):
    """The command line itself is wrong."""

    exit_code = MISUSE


def load_verb(name: str) -> Any:
    """The typer command of the verb `name`; this is the moment its module is imported."""
    python_name = f"{name}_" if keyword.iskeyword(name) else name
    verb = getattr(importlib.import_module(f"limpid.cli.{python_name}"), python_name)
    if not isinstance(verb, typer.Typer):
        app = typer.Typer(add_completion=False)
        app.command(name, help=verb.__doc__ or VERBS[name])(verb)
        verb = app
    return typer.main.get_command(verb)


class Verbs(TyperGroup):
    """The group of all verbs. For help and completion a verb is a stub; only a call loads it."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:
        return TyperCommand(cmd_name, help=VERBS[cmd_name]) if cmd_name in VERBS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name = args[0]
        if name not in VERBS:
            raise Misuse(f"limpid has no verb '{name}'.{did_you_mean(name, VERBS)} See limpid --help.")
        return name, load_verb(name), args[1:]


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    help="Build, run and see through a small ChatGPT of your own, from text to chat, on this machine.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"limpid {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors (also LIMPID_DEBUG=1).")] = False,
) -> None:
    if debug:
        os.environ["LIMPID_DEBUG"] = "1"  # processes that a verb starts hear of it as well


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0; 1 for a LimpidError (or its own code); 2 for misuse; 130 for Ctrl-C."""
    if "OMP_WAIT_POLICY" not in os.environ:
        # Threads that wait for each other soon let go of their cores. By default they hold them for milliseconds, and
        # training slows down four times, not two, where another program wants one of two cores. Read when torch loads.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    command.remember(sys.argv[1:] if args is None else args)
    try:
        if (line := os.environ.pop("_LIMPID_COMPLETE", None)) is not None:
            from limpid.cli.completion import answer

            answer(line)
            sys.exit(0)
        typer.main.get_command(app).main(args, prog_name="limpid")
    except KeyboardInterrupt:
        sys.exit(130)
    except LimpidError as err:
        _report(err, str(err))
        sys.exit(err.exit_code)
    except OSError as err:
        from limpid.core.paths import describe_os_error

        _report(err, str(describe_os_error(err, err.filename or "a file")))
        sys.exit(1)
    except Exception as err:
        text = " ".join(str(err).split())[:300]
        _report(err, f"Unexpected {type(err).__name__}: {text} (a bug in limpid; LIMPID_DEBUG=1 shows the traceback)")
        sys.exit(1)
    sys.exit(0)


def _report(err: Exception, text: str) -> None:
    """One red line on stderr, after the traceback where that is wanted."""
    if os.environ.get("LIMPID_DEBUG", "0") not in ("", "0"):
        traceback.print_exception(err)
    from rich.console import Console
    from rich.text import Text

    line = " ".join(text.split("\n"))
    Console(stderr=True, soft_wrap=True).print(Text(f"limpid: {line}", style="bold red"))
