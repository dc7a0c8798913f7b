"""Commands on the run store: run, runs, compare."""

import sys

from seglib import params
from seglib.terminal import address


def add(commands) -> None:
    """Adds these commands to the parser."""
    command = commands.add_parser("run", help=run.__doc__, description=run.__doc__)
    command.add_argument("values", nargs="*", metavar="name=value", help="fields of seglib.config.Config")
    command.set_defaults(command=run)
    command = commands.add_parser("runs", help=manage_runs.__doc__, description=manage_runs.__doc__)
    command.add_argument("--unused", action="store_true", help="those alone that no report shows and no study asks for")
    command.add_argument("--remove", nargs="*", metavar="key", help="remove these runs, or with --unused all unused")
    command.add_argument("--yes", action="store_true", help="remove without asking")
    command.set_defaults(command=manage_runs)
    command = commands.add_parser("compare", help=compare.__doc__, description=compare.__doc__)
    command.add_argument("keys", nargs=2, metavar="key", help="a run's key, as `seglib runs` lists it")
    command.set_defaults(command=compare)


def run(arguments) -> None:
    """Trains one config given as name=value pairs, or finds it in the store; prints its key and scores."""
    from seglib import config, experiment, tables

    finished = experiment.run(config.from_mapping(params.parse_overrides(" ".join(arguments.values))))
    scores = tables.per_image(finished)
    means = ", ".join(f"{name} {scores[name].mean():.4f}" for name in ("Dice", "IoU", "loss"))
    print(f"{finished.key}: test {means} (means over {len(scores)} images); {finished.folder}")


def manage_runs(arguments) -> int:
    """Lists what the run store holds, in full or what is unused; removes runs, after it has said what they hold."""
    from seglib import unused

    found = unused.entries()
    if arguments.remove is not None and bool(arguments.remove) == arguments.unused:
        raise ValueError("--remove needs either the keys of runs, as `seglib runs` lists them, or --unused")
    chosen = unused.of_keys(found, arguments.remove) if arguments.remove else found
    chosen = unused.unused(found) if arguments.unused else chosen
    if arguments.remove is None or not chosen:
        print("\n".join(unused.listed(chosen)))
        return 0
    print("\n".join(unused.question(chosen)))
    if not (arguments.yes or confirmed("remove them? [y/N] ")):
        print("nothing was removed")
        return 1
    removed, locked = unused.remove(chosen)
    print("\n".join(unused.outcome(removed, locked)))
    return int(bool(locked))


def confirmed(question: str) -> bool:
    """Whether who sits at the terminal says yes; without one nobody does.

    Raises: ValueError without a terminal to ask at.
    """
    if not sys.stdin.isatty():
        raise ValueError("there is no terminal to ask at, so nothing was removed; add --yes to remove without asking")
    return input(question).strip().lower() in ("y", "yes")


def compare(arguments) -> None:
    """Writes a page that compares two finished runs: configs, curves, scores, images they disagree on, cost."""
    from seglib import versus

    print(f"comparison: {address(versus.of_keys(*arguments.keys))}")
