"""Where a page's numbers come from, for its foot."""

from collections.abc import Sequence

from seglib import data
from seglib.runs import Run


def of(runs: Sequence[Run]) -> str:
    """Data, weights, seeds, device, versions, commit and run keys as Markdown, each fact once.

    The fingerprint is that of the data as they are now: a report trains anew what was trained on others.
    """

    def images(run: Run) -> str:
        counts = ", ".join(f"{n} {split}" for split, n in run.meta["images"].items())
        return f"{run.config.dataset}, {run.config.image_size} px, {counts} images. {run.meta['note']}"

    runs = {run.key: run for run in runs}
    facts = {
        "data": images,
        "data fingerprint": lambda run: f"`{data.open_source(run.config).fingerprint()}`",
        "encoder weights": lambda run: run.meta["weights"],
        "seeds": lambda run: run.config.seed,
        "device": lambda run: f"{run.meta['device']}, {run.config.threads} threads",
        "versions": lambda run: f"python {run.meta['python']}, torch {run.meta['torch']}",
        "commit": lambda run: run.meta["commit"],
    }
    lines = {name: " · ".join(dict.fromkeys(str(fact(run)) for run in runs.values())) for name, fact in facts.items()}
    peak = max((run.meta["peak_memory_mb"] for run in runs.values()), default=0)
    lines["training"] = f"{sum(run.meta['seconds'] for run in runs.values()):.0f} s in all, {peak:,} MB at the peak"
    lines["runs"] = ", ".join(f"`{key}` (seed {r.config.seed}, {r.meta['seconds']:.0f} s)" for key, r in runs.items())
    return "## Provenance\n\n" + "\n".join(f"- **{name}**: {text}" for name, text in lines.items())
