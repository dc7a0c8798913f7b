"""What steps through images: a slider, buttons and names above a sentence and a picture, as ipywidgets."""

import html

import ipywidgets as widgets

from seglib.explore.display import png
from seglib.plots.overlay import OPACITY

STYLE = {"description_width": "9em"}
LAYOUT = {"width": "34em"}
BESIDE = {"flex_flow": "row wrap"}


class Explorer(widgets.VBox):
    """Controls of a kind of image above those that step through the images, a sentence and the picture.

    `rows` are the images stepped through, as (text, row). A subclass draws one of them in `draw`, with `show`.
    """

    def __init__(self, *controls: widgets.Widget):
        self.rows: list[tuple[str, int]] = []
        self.place = widgets.IntSlider(0, 0, 0, description="image", readout=False, style=STYLE, layout=LAYOUT)
        self.name = widgets.Dropdown(description="its name", layout=LAYOUT, style=STYLE)
        self.previous, self.next = (widgets.Button(description=text) for text in ("◀ previous", "next ▶"))
        self.opacity = widgets.FloatSlider(
            OPACITY, min=0, max=1, step=0.05, description="mask opacity", style=STYLE, layout=LAYOUT
        )
        self.sentence = widgets.HTML()
        self.picture = widgets.Image(format="png", layout={"max_width": "100%", "align_self": "flex-start"})
        self.place.observe(self._moved, "value")
        self.name.observe(self._named, "value")
        self.previous.on_click(lambda _: self.step(-1))
        self.next.on_click(lambda _: self.step(1))
        self.opacity.observe(self.redraw, "value")
        stepping = widgets.HBox([self.place, self.previous, self.next], layout=BESIDE)
        super().__init__([*controls, self.opacity, stepping, self.name, self.sentence, self.picture])

    def fill(self, rows: list[tuple[str, int]], at: int | None = None) -> None:
        """Takes other images to step through and shows the row `at`, else the first."""
        self.rows = []  # nothing is drawn while the controls change
        numbers = [row for _, row in rows]
        self.name.options = [(text, i) for i, (text, _) in enumerate(rows)]
        self.place.max = max(len(rows) - 1, 0)
        self.place.value = numbers.index(at) if at in numbers else 0
        self.name.value = self.place.value if rows else None
        self.rows = rows
        self.picture.layout.display = None if rows else "none"
        self.redraw()

    @property
    def row(self) -> int | None:
        """The row shown, if there is one."""
        return self.rows[self.place.value][1] if self.rows else None

    def step(self, by: int) -> None:
        """Goes so many images on; after the last comes the first."""
        if self.rows:
            self.place.value = (self.place.value + by) % len(self.rows)

    def redraw(self, _=None) -> None:
        """Draws what the controls say."""
        if self.rows:
            self.draw(self.row)
        else:
            self.say("No image is like that; widen the filters.")

    def draw(self, row: int) -> None:
        """Shows one image as the controls say."""
        raise NotImplementedError

    def show(self, figure, sentence: str) -> None:
        """Puts a figure and its text in their places."""
        self.picture.value = png(figure)
        self.say(f"{self.place.value + 1} of {len(self.rows)}. {sentence}")

    def say(self, text: str) -> None:
        """Shows a text as text, whatever a name in it may hold."""
        self.sentence.value = f'<div role="status">{html.escape(text)}</div>'

    def _moved(self, _) -> None:
        if self.rows:
            self.name.value = self.place.value
            self.redraw()

    def _named(self, _) -> None:
        if self.rows:
            self.place.value = self.name.value


def choice(description: str, options: list, value=None) -> widgets.Dropdown:
    """A drop-down list of (text, value); the first is chosen unless a value is given."""
    first = options[0][1] if value is None else value
    return widgets.Dropdown(options=options, value=first, description=description, style=STYLE, layout=LAYOUT)


def slider(description: str, value: float, most: float) -> widgets.FloatSlider:
    """A slider from 0 in hundredths."""
    return widgets.FloatSlider(
        value, min=0, max=most, step=0.01, readout_format=".2f", description=description, style=STYLE, layout=LAYOUT
    )
