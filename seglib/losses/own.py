"""A loss of one's own, `module:name`."""

import importlib
from collections.abc import Callable

import torch

from seglib import names


def own(path: str) -> Callable[..., torch.Tensor]:
    """The function that `module:name` stands for."""
    if not names.OWN.fullmatch(path):
        raise ValueError(f"loss '{path}' is not of the form module:name")
    module, _, name = path.partition(":")
    try:
        function = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise ValueError(f"loss '{path}': {module} imports {error.name}, which is not installed") from error
        raise ValueError(f"loss '{path}': no module '{module}'; run where it can be imported") from error
    if not callable(function):
        raise ValueError(f"loss '{path}': module '{module}' has no function '{name}'")
    return function
