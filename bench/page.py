"""The benchmark page: outputs/bench/index.html, its figures and the results as JSON beside it."""

import base64
import io
import json
from pathlib import Path

import jinja2
import matplotlib.pyplot as plt

from seglib import atomic, paths
from seglib.plots import style


def write(results: dict) -> Path:
    """Writes page and JSON, and returns the page's path."""
    folder = paths.outputs() / "bench"
    loader = jinja2.FileSystemLoader([Path(__file__).parent, paths.ROOT / "seglib" / "templates"])
    template = jinja2.Environment(loader=loader, autoescape=True).get_template("page.html.j2")
    atomic.write(folder / "results.json", json.dumps(results, indent=1) + "\n")
    atomic.write(folder / "index.html", template.render(**results, figure=_growth(results["growth"])))
    return folder / "index.html"


def _growth(points: list[dict]) -> str:
    """Seconds and memory against images and against epochs, as a PNG in base64."""
    figure, axes = plt.subplots(1, 2, figsize=(style.WIDTH, 3.4))
    for what, colour in zip(("images", "epochs"), style.PALETTE, strict=False):
        other = {"images": "epochs", "epochs": "images"}[what]
        fixed = min(p[other] for p in points)
        chosen = [p for p in points if p[other] == fixed]
        work = [p["images"] * p["epochs"] for p in chosen]
        label = f"more {what} ({fixed} {other})".replace("(1 epochs)", "(1 epoch)")
        for axis, key in zip(axes, ("seconds", "peak_memory_mb"), strict=True):
            axis.plot(work, [p[key] for p in chosen], "o-" if what == "images" else "s--", color=colour, label=label)
    for axis, title in zip(axes, ("training time (s)", "peak memory of the process (MB)"), strict=True):
        axis.set(xlabel="images × epochs", ylabel=title, xlim=(0, None))
        axis.set_ylim(0, 1.1 * axis.get_ylim()[1])
        axis.legend()
    out = io.BytesIO()
    figure.savefig(out, format="png")
    plt.close(figure)
    return base64.b64encode(out.getvalue()).decode()
