"""Commands on a whole study: check, data, plan, report, verify, why."""

import sys

from seglib import params
from seglib.terminal import address


def add(commands) -> None:
    """Adds these commands to the parser."""
    functions = {
        "check": check, "data": get_data, "plan": make_plan, "report": make_report, "verify": verify, "why": tell_why,
    }  # fmt: skip
    for name, function in functions.items():
        command = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
        command.add_argument("study", nargs="?", default="demo", help="a folder of params/ (default: demo)")
        command.add_argument("--set", default="", metavar="'name=value …'", help="overridden parameters")
        command.set_defaults(command=function)
        if function is verify:
            command.add_argument("--sample", default="3", help="how many to train again, or a share (default: 3)")
            command.add_argument("--all", action="store_const", const="all", dest="sample", help="train all again")
        if function is make_report:
            command.add_argument(
                "--force", action="store_true", help="execute every notebook anew; runs come from the store as they are"
            )
            command.add_argument(
                "--with-parent", type=int, metavar="PID", help="end soon after that process, its parent"
            )


def check(arguments) -> None:
    """Reads parameters, data and weights of a study as its report would, and runs nothing."""
    from seglib import check as checks

    study = params.read(arguments.study, arguments.set)
    checks.study(study)
    print(f"study {study.folder_name}: {len(study.notebooks)} notebooks, parameters, data and weights are fine")


def make_report(arguments) -> int:
    """Runs a study's notebooks and writes its pages; `all` takes every study whose data are here."""
    from seglib import index, interruption, report

    interruption.unwind_on_signals()
    if arguments.with_parent:
        interruption.end_with(arguments.with_parent)
    if arguments.study != "all":
        print(f"report: {address(report.make(params.read(arguments.study, arguments.set), arguments.force))}")
        return 0
    failures = {}
    for name in params.studies():
        try:
            print(f"report of {name}: {address(report.make(params.read(name, arguments.set), arguments.force))}")
        except (ValueError, OSError, RuntimeError) as error:
            failures[name] = error
    for name, error in failures.items():
        print(f"not made: {name}: {error}", file=sys.stderr)
    # data may be elsewhere; but not of a study that has a report, which is not up to date then
    return int(any(not isinstance(error, FileNotFoundError) or index.known(name) for name, error in failures.items()))


def make_plan(arguments) -> None:
    """Tells the runs, time, disk space and memory that a study's report would take; trains and writes nothing."""
    from seglib import plan

    for line in plan.lines(plan.of(params.read(arguments.study, arguments.set))):
        print(line)


def verify(arguments) -> int:
    """Trains a sample of a study's recorded runs again, beside the store, and compares; writes nothing there."""
    from seglib import interruption, verify

    interruption.unwind_on_signals()
    wanted = params.read(arguments.study, arguments.set)
    verdicts = list(verify.study(wanted, arguments.sample, tell=lambda text: print(text, file=sys.stderr)))
    print(verify.table(verdicts))
    print(verify.summary(verdicts))
    return int(not verify.is_right(verdicts))


def tell_why(arguments) -> None:
    """Says of each notebook and run of a study whether a report would do it, and what has changed since it was done."""
    from seglib import why

    for line in why.lines(params.read(arguments.study, arguments.set)):
        print(line)


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
