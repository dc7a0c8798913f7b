"""`run(config)`: the finished run of a config, trained now if the store does not have it. Where all parts meet."""

import copy
import dataclasses
import json
import time

import torch

from seglib import atomic, checkpoint, data, digest, models, names, record, runs, runtime
from seglib.config import Config
from seglib.data.core import Dataset
from seglib.evaluation import criterion_of
from seglib.losses import modules_of
from seglib.models import weights
from seglib.models.base import SegmentationModel
from seglib.optim import build_optimizer
from seglib.progress import Progress
from seglib.runs import Run
from seglib.train import State, fit


def run(config: Config, runs_after: int = 0) -> Run:
    """Returns the finished run of this config, goes on with a broken one, or trains it.

    Args: runs_after — how many runs are still to be trained after it; only the time shown depends on it.
    Raises: ValueError or FileNotFoundError, before anything is trained, for what cannot work.
    """
    config = resolve(config)
    key = runs.key_of(inputs(config))
    if found := runs.find(key):
        return found
    with runs.lock(key):
        return runs.find(key) or _train(config, key, runs_after)


def run_all(configs: list[Config]) -> list[Run]:
    """The finished runs of all these configs, in their order."""
    unfinished = [runs.find(runs.key_of(inputs(resolve(config)))) is None for config in configs]
    return [run(config, runs_after=sum(unfinished[i + 1 :])) for i, config in enumerate(configs)]


def run_seeds(config: Config, seeds: list[int]) -> list[Run]:
    """One run per seed, all else equal."""
    return run_all([config.with_(seed=seed) for seed in seeds])


def run_rows(rows: dict[str, Config], seeds: list[int]) -> dict[str, list[Run]]:
    """Label → one run per seed, for each labelled config."""
    found = run_all([config.with_(seed=seed) for config in rows.values() for seed in seeds])
    return {label: found[i * len(seeds) : (i + 1) * len(seeds)] for i, label in enumerate(rows)}


def grid(config: Config, architectures: list[str], regimes: list[str], options: dict[str, dict]) -> dict[str, Config]:
    """Label → config, for each architecture under each regime, all else equal.

    Args: regimes — of Config.encoder; an architecture without a pre-trained encoder has one row, from scratch;
        options — model_options by architecture.
    Raises: ValueError for an unknown architecture or regime, or options of one that is not among them.
    """
    for name in options:
        if name not in architectures:
            raise ValueError(names.unknown("architecture in options", name, architectures))
    rows = {}
    for name in architectures:
        alone = config.with_(model=name, model_options=options.get(name, {}))
        if models.has_encoder(name):
            variants = [alone.with_(encoder=regime) for regime in regimes]
        else:
            variants = [alone.with_(encoder="fine_tune", weights="none")]
        rows |= {runs.label(variant): variant for variant in variants}
    return rows


def resolve(config: Config) -> Config:
    """The config with `auto` and 0 replaced by what this machine has: they change the result's last bits.

    Raises: ValueError for a device that is not here.
    """
    device = runtime.device(config.device).type
    return config.with_(device=device, threads=config.threads or runtime.cores())


def inputs(config: Config) -> dict:
    """Everything the result depends on: what the run key is the digest of."""
    source = data.open_source(config)
    fields = dataclasses.asdict(config)
    if config.optimizer != "sgd":
        del fields["momentum"]
    parts = [type(source).__module__, models.module_of(config.model), *modules_of(config.loss)]
    return {
        "format": record.FORMAT,
        "config": fields,
        "data": source.fingerprint(),
        "weights": weights.identity(config.weights),
        "code": digest.of_code(["seglib.train", *parts]),
        "torch": ".".join(torch.__version__.split(".")[:2]),
    }


def check(config: Config) -> None:
    """Raises what `run` would raise before training, and decodes the data to find what is wrong in its files."""
    build(config)


def build(config: Config) -> tuple[Dataset, SegmentationModel]:
    """The data of a config, and its model at its initial weights, on its device."""
    config = resolve(config)
    dataset = data.load(config)
    for name, split in dataset.splits().items():
        if not len(split):
            raise ValueError(f"the {name} split of {config.dataset} is empty; give it images")
    runtime.prepare(config.threads, config.seed)
    model = models.build_model(
        config.model, num_classes=dataset.num_classes, weights=config.weights, **config.model_options
    )
    if config.encoder == "frozen":
        model.freeze_encoder()
    criterion_of(config, dataset.num_classes)
    build_optimizer(model, config)
    model.train().check_size(torch.empty(1, 3, config.image_size, config.image_size, device="meta"))
    if len(dataset.train) % config.batch_size == 1 or config.batch_size == 1:  # does BatchNorm bear a batch of one?
        copy.deepcopy(model).train()(torch.zeros(1, 3, config.image_size, config.image_size))
    memory_format = torch.channels_last if config.channels_last else torch.contiguous_format
    return dataset, model.to(config.device, memory_format=memory_format)


def _train(config: Config, key: str, runs_after: int) -> Run:
    started = time.time()
    folder, device = runs.folder(key), torch.device(config.device)
    dataset, model = build(config)
    state = checkpoint.load(folder / "state.pt")
    atomic.write(folder / "config.json", json.dumps(inputs(config), indent=1) + "\n")
    first = state.epoch if state else 0
    runs.append_event(key, {"event": "start", "time": started, "epoch": first, **runtime.describe(config.device)})
    progress = Progress(f"{config.model} {config.encoder} seed {config.seed}", config.epochs, first, runs_after)

    def on_epoch(state: State) -> None:
        checkpoint.save(state, folder / "state.pt")
        runs.append_event(key, {"event": "epoch", "time": time.time(), **state.history[-1]})
        progress.epoch(state.history[-1])

    state = fit(model, dataset, config, device, state, on_epoch, progress.step)
    seconds = time.time() - started
    progress.finish()
    images_per_second = (config.epochs - first) * len(dataset.train) / seconds
    cost = {"seconds": round(seconds, 1), "images_per_second": round(images_per_second, 1)}
    record.finish(config, key, dataset, model, state, cost)
    return Run(folder)
