"""The `seglib` command: what the Makefile calls, and the same runs from a terminal."""

import argparse
import inspect
import sys

from seglib.cli import examples, models, store, studies

GROUPS = (studies, store, models)  # each adds its commands


def main(argv: list[str] | None = None) -> int:
    """Runs one command; a mistake of the user is one clear line and a status other than 0."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.command(arguments) or 0
    except (ValueError, OSError, RuntimeError, ArithmeticError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "interrupted; finished runs and notebooks are kept, the next call goes on from here",
            file=sys.stderr,
        )
        return 130


def _parser() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter  # texts as they were written, examples on lines of their own
    parser = argparse.ArgumentParser(
        prog="seglib", description=__doc__, epilog=examples.START, formatter_class=plain, allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True, metavar="command", title="commands")
    for group in GROUPS:
        group.add(commands)
    for name, command in commands.choices.items():
        command.formatter_class, command.epilog = plain, examples.epilog(name)
        command.description = inspect.cleandoc(command.description or "")
    return parser
