"""The two explorers: which images their filters let through, and what is drawn of each."""

import ipywidgets as widgets

from seglib.data.core import SPLITS
from seglib.explore import probabilities
from seglib.explore.controls import BESIDE, STYLE, Explorer, choice, slider
from seglib.explore.predictions import ORDERS, Predictions
from seglib.explore.samples import ANY, NONE, Samples
from seglib.runs import Run


class SampleBrowser(Explorer):
    """A data set's images, filtered by split, class and foreground area."""

    def __init__(self, samples: Samples):
        self.samples = samples
        channels = samples.splits.class_names.index
        present = [("with any class or none", ANY), *((f"with {n}", channels(n)) for n in samples.classes)]
        self.split = choice("split", [("all", ""), *((name, name) for name in SPLITS)])
        self.shown_class = choice("images", [*present, ("without foreground", NONE)])
        self.area = widgets.FloatRangeSlider(
            value=(0, 100), min=0, max=100, step=0.5, readout_format=".1f", description="foreground, %",
            style=STYLE, layout={"width": "38em"},
        )  # fmt: skip
        super().__init__(widgets.HBox([self.split, self.shown_class], layout=BESIDE), self.area)
        for control in (self.split, self.shown_class, self.area):
            control.observe(self.filter, "value")
        self.filter()

    def filter(self, _=None) -> None:
        """Steps through what the filters let through, from where it is if that is among them."""
        low, high = self.area.value
        rows = self.samples.chosen(self.split.value or None, self.shown_class.value, low, high)
        table = self.samples.table
        self.fill([(f"{table['image'][row]} ({table['area'][row]:.1f} %)", row) for row in rows], self.row)

    def draw(self, row: int) -> None:
        """The image, and the image under its mask."""
        self.show(self.samples.figure(row, self.opacity.value), self.samples.sentence(row))


class PredictionExplorer(Explorer):
    """Test images under one model or two, at any threshold."""

    def __init__(self, explored: Predictions):
        self.explored, labels = explored, list(explored.groups)
        runs = explored.groups[labels[0]]
        self.model = choice("model", [(label, label) for label in labels])
        self.seed = choice("seed", _seeds(runs))
        other = [("none", ""), *((label, label) for label in labels)]
        self.other = choice("second model", other, labels[-1] if len(labels) > 1 else "")
        self.other_seed = choice("its seed", _seeds(explored.groups[labels[-1]]))
        self.order = choice("order", [(name, name) for name in ORDERS])
        multiclass = explored.splits.task == "multiclass"
        self.threshold = slider("least probability" if multiclass else "threshold", explored.start(runs[0]), 0.99)
        first = len(explored.names) == 1
        self.colours = choice("colours", [("right and wrong", True), ("classes", False)], first)
        pairs = ([self.model, self.seed], [self.other, self.other_seed], [self.order, self.colours])
        super().__init__(*(widgets.HBox(pair, layout=BESIDE) for pair in pairs), self.threshold)
        self.model.observe(lambda _: self._reseed(self.model, self.seed), "value")
        self.other.observe(lambda _: self._reseed(self.other, self.other_seed), "value")
        for control in (self.seed, self.other_seed):
            control.observe(self.sort, "value")
        self.order.observe(lambda _: self.sort(at_first=True), "value")
        for control in (self.threshold, self.colours):
            control.observe(self.redraw, "value")
        self.sort(at_first=True)

    @property
    def shown(self) -> list[Run]:
        """The runs shown, each once."""
        chosen = [self.seed.value, *([self.other_seed.value] if self.other.value else [])]
        return list(dict.fromkeys(chosen))

    def sort(self, _=None, at_first: bool = False) -> None:
        """Steps through the test images in the chosen order."""
        first, last = self.shown[0], self.shown[-1]
        by, dice = self.order.value, self.explored.tables[first]["Dice"]
        rows = self.explored.order(first, by, last)
        names = self.explored.splits.test.names
        self.fill([(f"{names[row]} (Dice {dice[row]:.3f})", row) for row in rows], None if at_first else self.row)

    def draw(self, row: int) -> None:
        """The image, its truth and its predictions; what keeps another threshold from being shown is said."""
        threshold = round(self.threshold.value * probabilities.LEVELS) / probabilities.LEVELS
        problem = ""
        if threshold == self.explored.start(self.shown[0]):
            threshold = None
        else:
            try:
                self._compute(row, threshold)
            except (ValueError, FileNotFoundError) as error:
                threshold, problem = None, f"The stored masks are shown: {error}. "
        figure = self.explored.figure(row, self.shown, threshold, self.opacity.value, self.colours.value)
        self.show(figure, problem + self.explored.sentence(row, self.shown, threshold))

    def _compute(self, row: int, threshold: float) -> None:
        """Makes sure that the probabilities are there, and says when that takes a while."""
        for run in self.shown:
            if not probabilities.are_known(run, row):
                self.say(f"{self.explored.labels[run]}: computing the probabilities of these test images once …")
            self.explored.masks(run, row, threshold)

    def _reseed(self, model: widgets.Dropdown, seed: widgets.Dropdown) -> None:
        """Offers a model's seeds and shows the first."""
        if model.value:
            seed.options = _seeds(self.explored.groups[model.value])
        self.sort()


def _seeds(group: list[Run]) -> list[tuple[str, Run]]:
    return [(str(run.config.seed), run) for run in group]
