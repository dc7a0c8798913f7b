"""Commands on models: predict, track, weights, export, card."""

from pathlib import Path

from seglib import paths
from seglib.terminal import address, printable

RUN = "a run's key as `seglib runs` lists it, a start of it, or best:STUDY such as best:demo, by validation score"
SHOWN = 20  # files that could not be read, of which a terminal gets to see the reason

FIRST = "imagenet-pypi"


def add(commands) -> None:
    """Adds these commands to the parser."""
    _add_predict(commands)
    command = commands.add_parser("track", help=track.__doc__, description=track.__doc__)
    command.add_argument("tracker", choices=("tensorboard", "mlflow"))
    command.add_argument("keys", nargs="*", metavar="key", help="runs, by key or its start (default: all of the store)")
    command.add_argument(
        "--to", metavar="PLACE", help="tensorboard: log folder (default: outputs/tensorboard); mlflow: its URI"
    )
    command.add_argument("--experiment", default="seglib", help="mlflow: the experiment's name (default: seglib)")
    command.set_defaults(command=track)
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


def _add_predict(commands) -> None:
    first = predict.__doc__.partition("\n")[0]
    command = commands.add_parser("predict", help=first, description=predict.__doc__)
    command.add_argument("run", help=RUN)
    command.add_argument("source", nargs="+", help="an image, a folder of images, or a pattern: 'photos/**/*.jpg'")
    command.add_argument("--to", required=True, metavar="FOLDER", help="where masks and tables go; a folder of one run")
    command.add_argument(
        "--by",
        default="",
        metavar="SCORE",
        help="of best:STUDY: Dice, IoU or loss (default: what chose the epochs)",
    )
    command.add_argument("--recursive", action="store_true", help="folders with all that is below them")
    command.add_argument("--masks", metavar="FOLDER", help="true masks, named as the images: adds scores.csv")
    command.add_argument("--probabilities", action="store_true", help="probability maps, too: 16-bit PNG, p · 65535")
    command.add_argument("--overlays", action="store_true", help="masks over their images, too: JPEG to look at")
    command.add_argument(
        "--flips", default="none", choices=("none", "horizontal", "vertical", "both"),
        help="mean probability over mirror images: both takes four forward passes, one of them two (default: none)",
    )  # fmt: skip
    command.add_argument("--tile", type=int, default=0, metavar="SIZE", help="large images in tiles of SIZE by SIZE px")
    command.add_argument("--overlap", type=float, default=0.25, metavar="SHARE", help="of two tiles (default: 0.25)")
    command.add_argument("--compare", action="store_true", help="with --masks: scores with and without flips and tiles")
    command.add_argument("--device", default="auto", help="auto (default), cpu, cuda or mps")
    command.set_defaults(command=predict)


def predict(arguments) -> int:
    """Makes a mask of every image, at its own size, with a trained run.

    RUN is the key of a finished run (`seglib runs` lists them) or best:STUDY, the study's best by *validation* score.
    Into the folder of --to go masks/, areas.csv and, if asked for, probabilities/, overlays/ and scores.csv; the mask
    of sub/a.jpg is masks/sub/a.jpg.png: 0 and 255 of a binary run, class numbers with a palette of several classes, a
    folder per class of planes, which may overlap. Images are read as in training (EXIF orientation, 16 bits, CMYK and
    transparency too); sizes need not be the same.

    A second call goes on where the first one ended and leaves alone what is done; masks of another run or of other
    settings are never mixed in. Files that cannot be read are listed at the end and in unreadable.csv; the others are
    predicted. Exit status: 0 all were read; 1 some could not be, or nothing was done (then a line says `error:`).

    --tile is for images far larger than what the run was trained on, where detail matters more than the whole:
    SIZE near the size of the training images in their own pixels. Whether it helps, --masks and --compare tell.
    """
    from seglib import chosen
    from seglib import predict as prediction

    run, why = chosen.choose(arguments.run, arguments.by)
    print(f"run {chosen.title(run)}{f': {why}' if why else ''}")
    names = ("masks", "recursive", "probabilities", "overlays", "flips", "tile", "overlap", "device")
    options = {name: getattr(arguments, name) for name in names}
    if arguments.compare and not arguments.masks:
        raise ValueError("--compare needs --masks: without true masks there is nothing to score")
    compared = _ways(arguments) if arguments.compare else {}
    found = prediction.predict(run, arguments.source, arguments.to, **options)
    _tell(found)
    if compared:
        _compare(run, arguments, compared)
    return int(bool(found.unreadable))


def _ways(arguments) -> dict:
    from seglib.prediction import compare

    return compare.ways(arguments.flips, arguments.tile, arguments.overlap)


def _compare(run, arguments, ways: dict) -> None:
    from seglib.prediction import compare

    folder = Path(arguments.to)
    options = {"recursive": arguments.recursive, "device": arguments.device}
    scored = compare.scored(run, arguments.source, folder, arguments.masks, ways, **options)
    print(f"\n{compare.as_text(compare.table(scored))}\neach image: {address(compare.write(scored, folder))}")


def _tell(found) -> None:
    from seglib import stats

    folder = found.folder.absolute()
    print(f"images: {found.done} predicted, {found.kept} were there already; masks: {address(folder / 'masks')}")
    if found.scores:
        pairs = zip(("Dice", "IoU"), zip(*found.scores.values(), strict=True), strict=True)
        means = ", ".join(f"{name} {stats.estimate([values], (0.0, 1.0))}" for name, values in pairs)
        print(f"{means} per image, over {len(found.scores)} with a true mask, each at its own size")
    if found.unreadable:
        lines = [f"  {printable(why)}" for why in found.unreadable.values()]  # each names its file
        more = [f"  and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        print(f"not read: {len(lines)}, listed in {address(folder / 'unreadable.csv')}")
        print("\n".join(lines[:SHOWN] + more))


def track(arguments) -> None:
    """Shows runs, finished or not, in TensorBoard or MLflow; neither is needed, and twice does no harm."""
    from seglib import track as tracking

    logs = tracking.logs(arguments.keys)
    if arguments.tracker == "tensorboard":
        from seglib import track_tensorboard

        folder = Path(arguments.to or paths.outputs() / "tensorboard").absolute()
        written = track_tensorboard.write(logs, folder)
        print(f"{_grown(written)}; to see them: tensorboard --logdir {address(folder)}")
    else:
        from seglib import track_mlflow

        written = track_mlflow.write(logs, arguments.to or "", arguments.experiment)
        print(f"{_grown(written)}, in experiment {arguments.experiment}")


def _grown(written: dict[str, bool]) -> str:
    return f"{len(written)} runs, of which {sum(written.values())} were new or had grown"


def fetch_weights(arguments) -> None:
    """Fetches and checks weights, of an encoder or of Segment Anything, so that a later report needs no network."""
    from seglib import names
    from seglib.sam import checkpoints

    if arguments.name in checkpoints.CHECKPOINTS:
        found = checkpoints.fetch(arguments.name)
    else:
        from seglib.models import weights

        known = [*(name for name in weights.SOURCES if name != "none"), *checkpoints.CHECKPOINTS]
        if arguments.name not in known and not Path(arguments.name).is_file():
            raise ValueError(names.unknown("weights", arguments.name, known))
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
