"""`make why`: of each notebook and run of a study whether a report would do it, and what has changed since it was done.

Of notebooks that are as they would be the runs are those that they recorded, and torch is not needed; of the others
those that their parameters ask for.
"""

import json
from collections.abc import Iterator, Mapping

from seglib import freshness, paths, runs
from seglib.index import DONE
from seglib.params import Study

NAMED = 4  # differences that are named; of more it gives the number
DIGESTS = {"data": "the data", "weights": "the weights", "start_from": "the run it starts from", "code": "the code"}


def lines(study: Study) -> Iterator[str]:
    """The answer as text.

    Raises: ValueError or FileNotFoundError for parameters, data or a device that cannot work.
    """
    fresh = freshness.look(study)
    pages = fresh.pages()
    stale = [page.notebook for page in pages.values() if page.status != DONE]
    yield f"study {study.folder_name}: {len(stale)} of {len(pages)} notebooks would be executed"
    for notebook, page in pages.items():
        if page.status == DONE:
            yield f"\n{notebook}: unchanged"
            yield from _recorded(study, notebook)
        else:
            yield f"\n{notebook}: would be executed"
            yield from (f"  {change}" for change in fresh.changes(notebook) or [page.why])
            yield from _asked(study.notebooks[notebook])
    changes = freshness.rendering_changes(study)
    yield "\npages and index: " + ("would be rendered anew" if stale or changes else "unchanged")
    yield from (f"  {change}" for change in changes if not stale)


def _recorded(study: Study, notebook: str) -> Iterator[str]:
    """The runs that a notebook shows, each once."""
    try:
        families = runs.families(study.folder_name, [notebook])
    except FileNotFoundError:  # it has none
        return
    every = {run.key: (label, run) for part in families.values() for label, group in part.items() for run in group}
    for key, (label, run) in every.items():
        yield f"  in the store {key}  {label}, seed {run.config.seed}"


def _asked(values: Mapping) -> Iterator[str]:
    """The runs that a notebook's parameters ask for, each once, and what would be done about them."""
    if "seeds" not in values:
        return
    from seglib import asked, experiment

    stored, told = list(_stored()), set()
    for one in asked.of(values):
        if (known := one.label if one.awaits else one.key) in told:
            continue
        told.add(known)
        what = f"{one.key}  {one.label}, seed {one.config.seed}"
        if one.awaits:
            yield f"  follows from what the trials find best: {one.label}"
        elif not one.settled:
            yield f"  would be trained {what}{_nearest(experiment.inputs(one.config), stored)}"
        else:
            yield f"  {'known to diverge' if one.diverges else 'in the store'} {what}"


def _stored() -> Iterator[tuple[str, dict]]:
    """Key of each finished run, and all that its result depends on."""
    for file in sorted(paths.runs().glob("*/config.json")):
        if (file.parent / "meta.json").is_file():
            yield file.parent.name, json.loads(file.read_text(encoding="utf-8"))


def _nearest(inputs: Mapping, stored: list[tuple[str, dict]]) -> str:
    """What tells a run from the stored one that is most like it; nothing where none is of its data set."""
    alike = [(key, differences(before, inputs)) for key, before in stored]
    alike = [(key, found) for key, found in alike if not any(line.startswith("dataset:") for line in found)]
    if not alike:
        return ""
    key, found = min(alike, key=lambda each: len(each[1]))
    more = f"; {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"\n      stored is {key}: {'; '.join(found[:NAMED])}{more}"


def differences(before: Mapping, now: Mapping) -> list[str]:
    """What tells apart the inputs of two runs, as `experiment.inputs` gives them: `lr: 0.001 → 0.002`."""
    old, new = (inputs["config"] | {name: inputs[name] for name in ("torch", "format")} for inputs in (before, now))
    found = [
        f"{name}: {json.dumps(old.get(name))} → {json.dumps(new.get(name))}"
        for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)
    ]  # fmt: skip
    return found + [f"{what} changed" for name, what in DIGESTS.items() if before.get(name) != now[name]]
