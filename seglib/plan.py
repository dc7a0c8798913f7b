"""`make plan`: the runs that a study asks for, and the time, disk space and memory of those still to be trained.

Nothing is trained to its end and nothing is written. What a notebook does beside its trainings (evaluating tables,
drawing, HTML and PDF) is added per notebook.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

import torch

from seglib import asked, estimate, kinds, memory, pace, runtime, space
from seglib.amounts import amount, counted, duration
from seglib.asked import Asked
from seglib.estimate import Kind
from seglib.pace import Pace, Spread
from seglib.params import Study

PROBES = 90.0  # seconds that all probes together may take; the first one may take longer
KERNEL = 700  # MB that a notebook's kernel comes to hold beside one training: figures, what earlier trainings left
PAGE = Spread(8.0, 15.0, 35.0)  # seconds of a notebook beside its trainings: of the demo's seven, on two cores


@dataclass(frozen=True)
class Plan:
    """What a study asks for and what is left of it."""

    study: Study
    asked: asked.Runs
    kinds: dict[str, Kind]  # of the runs to be trained
    paces: dict[str, Pace]
    of_kind: dict[str, str]  # key of each run to be trained → its kind
    seconds: dict[str, Spread]  # and the time it takes
    probing: float  # seconds that the probes took
    busy: float  # processes that wanted to run when it was made, on average

    def first(self) -> dict[str, list[Asked]]:
        """Notebook → the runs that it would train: those that no notebook before it does."""
        seen, found = set(), {}
        for notebook, group in self.asked.items():
            found[notebook] = [one for one in _distinct(group) if not one.settled and one.key not in seen]
            seen |= {one.key for one in group}
        return found

    def memory(self, key: str) -> int:
        """MB at the peak of a run: its kind's, and where that was probed what a run holds beside."""
        known, kind = self.paces[self.of_kind[key]], self.kinds[self.of_kind[key]]
        beside = space.resident(kind.config) // 10**6 + (KERNEL if kind.config.device == "cpu" else 0)
        return known.memory + (0 if known.stored else beside)


def of(study: Study, seconds: float = PROBES) -> Plan:
    """The plan of a study; kinds of runs that the store has none of are probed, for so many seconds in all.

    Raises: ValueError or FileNotFoundError for parameters, data or a device that cannot work.
    """
    wanted = asked.of_study(study)
    todo = {key: one for key, one in asked.distinct(wanted).items() if not one.settled}
    counts = {key: kinds.images(one.config) for key, one in todo.items()}
    work = {key: kinds.work(one.config, counts[key]) for key, one in todo.items()}
    of_kind = {key: kinds.key(one.config, counts[key]["train"]) for key, one in todo.items()}
    found = {}
    for kind in dict.fromkeys(of_kind.values()):
        members = [key for key in todo if of_kind[key] == kind]
        most = max(members, key=lambda key: work[key].steps)
        found[kind] = Kind(todo[most].config, counts[most]["train"], sum(work[key].steps for key in members))
    started, busy = monotonic(), os.getloadavg()[0]
    paces = estimate.paces(found, seconds)
    times = {key: paces[of_kind[key]].seconds(work[key]) for key in todo}
    return Plan(study, wanted, found, paces, of_kind, times, monotonic() - started, busy)


def lines(plan: Plan) -> Iterator[str]:
    """The plan as text."""
    distinct = asked.distinct(plan.asked)
    every, todo = sum(len(_distinct(group)) for group in plan.asked.values()), list(plan.seconds)
    diverged = sum(one.diverges for one in distinct.values())
    stored = len(distinct) - len(todo) - diverged
    yield (
        f"study {plan.study.folder_name}: {len(plan.asked)} notebooks ask for {every} runs, {len(distinct)} of them "
        f"different; {stored} are in the store, {f'{diverged} known to diverge, ' if diverged else ''}"
        f"{len(todo)} are to be trained"
    )
    first = plan.first()
    for notebook, group in plan.asked.items():
        yield from _of_notebook(plan, notebook, group, first[notebook])
    if todo:
        yield "\nkinds of runs to be trained (alike in network, regime, image size, batch, loss, precision):"
        for kind, about in plan.kinds.items():
            yield from _of_kind(plan, kind, about)
    yield from _in_all(plan, todo)


def _of_notebook(plan: Plan, notebook: str, group: list[Asked], new: list[Asked]) -> Iterator[str]:
    if not group:
        asks = plan.study.notebooks[notebook].get("checkpoints")  # of models that are asked and not trained
        said = "; the time of its Segment Anything models is not counted here" if asks else ""
        yield f"\n{notebook}: no runs of its own{said}"
        return
    size = sum(space.of_run(one.config) for one in new)
    takes = f": {_range(pace.total(plan.seconds[one.key] for one in new))}, {amount(size)}" if new else ""
    yield f"\n{notebook}: {counted(len(_distinct(group)), 'run')}, {len(new)} to be trained{takes}"
    by_row: dict[tuple[str, str], list[int]] = {}
    told, here = set(), {one.key for one in new}
    for one in group:
        state = _state(one, told, here)
        by_row.setdefault((one.label, state + " *" * one.awaits), []).append(one.config.seed)
        told.add(one.key)
    for (label, state), seeds in by_row.items():
        yield f"  {state:<10}  {label}; seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    if any(state.startswith("shared") for _, state in by_row):
        yield "  shared: trained by an earlier notebook, and counted there"
    if any(one.awaits for one in group):
        yield "  * with the learning rate or momentum that this notebook's trials find best: it is not known yet"


def _state(one: Asked, told: set[str], here: set[str]) -> str:
    """What is done about a run. Args: told — keys already listed of this notebook; here — those that it trains."""
    if one.settled:
        return "diverges" if one.diverges else "stored"
    return "as above" if one.key in told else "new" if one.key in here else "shared"


def _of_kind(plan: Plan, kind: str, about: Kind) -> Iterator[str]:
    keys = [key for key, its in plan.of_kind.items() if its == kind]
    one = max(keys, key=lambda key: plan.seconds[key].middle)
    yield (
        f"  {about.name}\n    {counted(len(keys), 'run')} of up to {_range(plan.seconds[one])}, "
        f"up to {plan.memory(one):,} MB at the peak; {plan.paces[kind].source}"
    )


def _in_all(plan: Plan, todo: list[str]) -> Iterator[str]:
    training = pace.total(plan.seconds.values())
    pages = Spread(*(len(plan.asked) * seconds for seconds in PAGE))
    yield ""
    if todo:
        yield f"training: {_range(training)} on this machine" + _shortened(plan)
    yield f"with the pages: {_range(pace.total([training, pages]))}, if all {len(plan.asked)} notebooks are executed"
    for need in space.needed(plan.asked):
        yield f"disk: {amount(need.size)} for {need.purpose}, in {need.folder}, which has {_free(need.folder)} free"
    if todo:
        device = torch.device(next(iter(plan.kinds.values())).config.device)
        peak, room = max(plan.memory(key) for key in todo), memory.total(device)
        yield f"memory: up to {peak / 1e3:.1f} GB at the peak of a training, of {room / 1e9:.1f} GB"
        yield f"measured in {plan.probing:.0f} s; nothing was trained or written"
        if plan.busy > runtime.cores() and not all(known.stored for known in plan.paces.values()):
            load = f"{plan.busy:.1f} processes on {counted(runtime.cores(), 'core')}"
            yield f"NOTE: others kept this machine busy ({load}): what was probed looks slower than it is"


def _shortened(plan: Plan) -> str:
    return "; less where patience ends a run early" if any(k.config.patience for k in plan.kinds.values()) else ""


def _free(folder) -> str:
    return amount(space.free_in(folder))


def _distinct(group: list[Asked]) -> list[Asked]:
    """Each key once."""
    return list({one.key: one for one in reversed(group)}.values())[::-1]


def _range(span: Spread) -> str:
    return duration(span.low, span.high)
