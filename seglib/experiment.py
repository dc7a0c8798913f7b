"""`run(config)`: the finished run of a config, trained now if the store does not have it. Where all parts meet."""

import copy
import dataclasses
import functools
import json
import warnings

import torch

from seglib import checkpoint, data, digest, job, memory, models, paths, runs, runtime, seal
from seglib.batches import is_augmented, memory_format, passes
from seglib.config import Config
from seglib.data.core import Dataset
from seglib.evaluation import criterion_of
from seglib.losses import modules_of
from seglib.models import weights
from seglib.models.base import SegmentationModel
from seglib.optim import build_optimizer
from seglib.runs import Run


def run(config: Config, runs_after: int = 0) -> Run:
    """Returns the finished run of this config, goes on with a broken one, or trains it.

    Args: runs_after — how many runs are still to be trained after it; only the time shown depends on it.
    Raises: ValueError or FileNotFoundError, before anything is trained, for what cannot work.
    """
    config = resolve(config)
    wanted = inputs(config)
    key = runs.key_of(wanted)
    if found := runs.find(key):
        checkpoint.remove(found.folder)  # left by a process that ended between the last two things it had to do
        return found
    before = start(config)
    _check_fits(config, before)
    if isinstance(before, Config):
        before = run(before, runs_after + 1).key
    with runs.lock(key):
        return runs.find(key) or _train(config, key, wanted, before, runs_after)


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


def resolve(config: Config) -> Config:
    """The config with `auto` and 0 replaced by what this machine has: they change the result's last bits.

    Raises: ValueError for a device that is not here, and if not one image of a training step fits its memory.
    """
    kind = runtime.device(config.device).type
    config = config.with_(
        device=kind, threads=config.threads or runtime.cores(), precision=runtime.precision(config.precision, kind)
    )
    if config.compile == "reduce-overhead" and kind != "cuda":
        raise ValueError(f"compile: reduce-overhead needs CUDA graphs, the device is {kind}; use default or none")
    return config.with_(accumulate=_passes(config))


def _passes(config: Config) -> int:
    """Into how many passes a step is divided: as asked for, else so many that it fits the device's memory; told."""
    classes = len(data.open_source(config).class_names())
    options = json.dumps(config.model_options, sort_keys=True)
    need = _step_bytes(config.model, options, config.encoder, config.image_size, classes, config.precision)
    count = memory.passes(config.batch_size, *need, torch.device(config.device))
    if config.accumulate:
        if config.accumulate < count:
            warnings.warn(
                f"accumulate: {config.accumulate} may not fit the {config.device}'s memory; {count} would", stacklevel=2
            )
        return config.accumulate
    if count > 1:
        warnings.warn(
            f"a batch of {config.batch_size} images does not fit the {config.device}'s memory at once: each step is "
            f"divided into {count} passes (accumulate: {count}); BatchNorm sees one pass at a time",
            stacklevel=2,
        )
    return count


@functools.lru_cache(maxsize=256)
def _step_bytes(name: str, options: str, encoder: str, size: int, classes: int, precision: str) -> tuple[int, int]:
    model = models.build_model(name, num_classes=classes, **json.loads(options)).to("meta")
    if encoder == "frozen":
        model.freeze_encoder()
    model.train().check_size(torch.empty(1, 3, size, size, device="meta"))
    return memory.step_bytes(model, size, classes, precision)


def inputs(config: Config) -> dict:
    """Everything the result depends on: what the run key is the digest of."""
    source = data.open_source(config)
    idle = {  # what this config makes no use of
        "momentum": config.optimizer != "sgd",
        "feature_views": config.encoder != "frozen" or not is_augmented(config),
        "deterministic": config.device == "cpu",
    }
    fields = {name: value for name, value in dataclasses.asdict(config).items() if not idle.get(name)}
    before = start(config)
    return {
        "format": runs.FORMAT,
        "config": fields,
        "data": source.fingerprint(),
        "weights": weights.identity(config.weights),
        "start_from": runs.key_of(inputs(before)) if isinstance(before, Config) else before,
        "code": digest.of_code(modules(config)),
        "torch": ".".join(torch.__version__.split(".")[:2]),
    }


def modules(config: Config) -> list[str]:
    """The modules that a run of this config starts from; `digest.of_code` follows them."""
    parts = [data.kind(config).__module__, models.module_of(config.model), *modules_of(config.loss)]
    return ["seglib.train", *parts]


def start(config: Config) -> Config | str:
    """The run whose weights training starts from: its config, resolved, or its key; the empty text for none.

    Raises: ValueError for a config that cannot be; FileNotFoundError if a run named by its key is not finished.
    """
    if isinstance(config.start_from, dict):
        try:
            return resolve(config.with_(**{"start_from": "", **config.start_from}))
        except ValueError as error:
            raise ValueError(f"the run of start_from: {error}") from error
    if config.start_from and not runs.find(config.start_from):
        raise FileNotFoundError(f"start_from: no finished run {config.start_from} in {paths.runs()}; train it first")
    return config.start_from


def check(config: Config) -> None:
    """Raises what `run` would raise before training, and decodes the data to find what is wrong in its files."""
    build(config)
    before = start(config)
    _check_fits(config, before)
    if isinstance(before, Config):
        check(before)


def build(config: Config) -> tuple[Dataset, SegmentationModel]:
    """The data of a config, and its model at its initial weights, on its device."""
    config = resolve(config)
    dataset = data.load(config)
    return dataset, network(config, dataset)


def network(config: Config, dataset: Dataset) -> SegmentationModel:
    """The model of a resolved config at its initial weights, on its device; the process computes as the config says.

    Raises: ValueError for what cannot work with these data.
    """
    for name, split in dataset.splits().items():
        if not len(split):
            raise ValueError(f"the {name} split of {config.dataset} is empty; give it images")
    runtime.prepare(config.threads, config.seed, config.deterministic)
    model = models.build_model(
        config.model, num_classes=dataset.num_classes, weights=config.weights, **config.model_options
    )
    if config.encoder == "frozen":
        model.freeze_encoder(config.frozen_statistics)
    criterion = criterion_of(config, dataset.num_classes)
    if criterion.settings.target_scale == "values" and "bce" in criterion.weights:
        raise ValueError(
            "target_scale: values reads the outputs as grey values, and bce trains them as logits, so that what it "
            "teaches is not what is predicted; use target_scale: unit, or mse, dice and iou"
        )
    build_optimizer(model, config)
    model.train().check_size(torch.empty(1, 3, config.image_size, config.image_size, device="meta"))
    batches = torch.arange(len(dataset.train)).split(config.batch_size)
    if any(len(part) == 1 for i in (0, -1) for part in passes(batches[i], config)):  # does BatchNorm bear one image?
        copy.deepcopy(model).train()(torch.zeros(1, 3, config.image_size, config.image_size))
    return model.to(config.device, memory_format=memory_format(config))


def begin(config: Config, before: str) -> tuple[Dataset, SegmentationModel]:
    """The data of a config, and its model as training starts: at the weights of run `before`, if there is one.

    Raises: as `build`; ValueError if that run is damaged; RuntimeError if the code has changed since it was imported.
    """
    if edited := digest.edited(modules(config)):
        raise RuntimeError(
            f"{', '.join(edited)}: edited since this process imported it, so that what it would train is not what the "
            "file says, and with it the run's key; restart the kernel, or run the command again"
        )
    dataset, model = build(config)
    if before:
        _load(model, Run(runs.folder(before)))
    return dataset, model


def _train(config: Config, key: str, wanted: dict, before: str, runs_after: int) -> Run:
    dataset, model = begin(config, before)
    return job.carry_out(config, key, wanted, dataset, model, runs_after)


def _load(model: SegmentationModel, before: Run) -> None:
    try:
        model.load_state_dict(seal.weights(before.folder))
    except ValueError as error:
        raise ValueError(f"start_from: {error}") from None


def _check_fits(config: Config, before: Config | str) -> None:
    """Raises ValueError if the weights of the run to start from are not of this config's model."""
    if not before:
        return
    before = before if isinstance(before, Config) else runs.find(before).config
    mine, theirs = (_shapes(each) for each in (config, before))
    if mine != theirs:
        names = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))
        raise ValueError(
            f"the weights of start_from do not fit this model: {', '.join(names[:3])} and so on differ; "
            "use the same model, model_options and classes"
        )


def _shapes(config: Config) -> dict[str, tuple]:
    classes = len(data.open_source(config).class_names())
    model = models.build_model(config.model, num_classes=classes, **config.model_options)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
