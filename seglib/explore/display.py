"""How an explorer enters a notebook: controls for a person, a picture for a page, never both at once."""

import base64
import io
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

DPI = 110  # of pictures; 9 inches are 990 px


@dataclass(frozen=True)
class Shown:
    """A cell's output: a PNG and, if a person is there to move them, controls (an ipywidgets widget)."""

    picture: bytes
    controls: Any = None

    def _repr_mimebundle_(self, **_) -> dict:
        """One bundle of both: a front end takes the widget. A page takes the PNG, since no widget state is saved."""
        bundle = {"text/plain": repr(self), "image/png": base64.b64encode(self.picture).decode()}
        return bundle if self.controls is None else {**self.controls._repr_mimebundle_(), **bundle}

    def __repr__(self) -> str:
        return "a picture" if self.controls is None else "an explorer; run the cell to use it"


def has_front_end() -> bool:
    """Whether a person's front end runs this cell: it says that its user can be asked, which nbclient denies."""
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    request = kernel.get_parent("shell") if kernel is not None else {}
    return bool(request.get("content", {}).get("allow_stdin", False))


def png(figure: Figure) -> bytes:
    """A figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
