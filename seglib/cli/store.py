"""Commands on the run store: run, runs, compare."""

from seglib import params
from seglib.terminal import address


def add(commands) -> None:
    """Adds these commands to the parser."""
    command = commands.add_parser("run", help=run.__doc__, description=run.__doc__)
    command.add_argument("values", nargs="*", metavar="name=value", help="fields of seglib.config.Config")
    command.set_defaults(command=run)
    command = commands.add_parser("runs", help=list_runs.__doc__, description=list_runs.__doc__)
    command.set_defaults(command=list_runs)
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


def list_runs(arguments) -> None:
    """Lists the finished runs of the store."""
    from seglib import runs

    for found in runs.finished():
        what = f"{found.config.dataset} {found.config.image_size} px, {found.config.model}, {found.config.encoder}"
        print(f"{found.key}  {what}, seed {found.config.seed}, {found.meta['seconds']:.0f} s, {found.meta['finished']}")


def compare(arguments) -> None:
    """Writes a page that compares two finished runs: configs, curves, scores, images they disagree on, cost."""
    from seglib import versus

    print(f"comparison: {address(versus.of_keys(*arguments.keys))}")
