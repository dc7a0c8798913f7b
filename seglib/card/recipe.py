"""How a run was trained, in words, and the command that trains it again."""

import json
import re
import shlex
from pathlib import Path

from seglib import config as configs
from seglib import models, runs
from seglib.config import Config
from seglib.data.core import NORMALISATION
from seglib.models import weights
from seglib.runs import Run
from seglib.words import CHOICES

PLAIN = re.compile(r"[A-Za-z][\w./:-]*")  # texts that YAML reads as they stand
FAULTS = {  # fields whose unusual value repeats a report's fault
    "joint_transforms": "image and mask were transformed apart",
    "all_objects": "training masks held an image's last object alone",
    "frozen_statistics": "the frozen encoder's BatchNorm statistics drifted",
    "test_in_eval_mode": "it was tested in training mode",
}  # fmt: skip


def facts(run: Run) -> dict[str, str]:
    """What the training was, name by name."""
    config = run.config
    found = {
        "start": _start(run),
        "loss": _loss(config),
        "optimiser": _optimiser(config),
        "batch": f"{config.batch_size} images{f', in {config.accumulate} passes' if config.accumulate > 1 else ''}",
        "epochs": _epochs(run),
        "augmentation": _augmentation(config),
        "normalisation": "of values from 0 to 1: mean {}, standard deviation {}".format(
            *NORMALISATION[config.normalisation]
        ),
        "precision": config.precision,
        "seed": str(config.seed),
    }
    if wrong := [text for field, text in FAULTS.items() if not getattr(config, field)]:
        found["faults"] = f"a report's, repeated on purpose: {'; '.join(wrong)}"
    return found


def command(config: Config) -> str:
    """The command that trains a config, or finds it in the store; its key is the same from a notebook."""
    default = Config()
    changed = {
        name: getattr(config, name) for name in configs.FIELDS if getattr(config, name) != getattr(default, name)
    }
    if changed.get("weights", "none") not in weights.SOURCES:
        changed["weights"] = Path(changed["weights"]).name  # no folder of this machine
    if "data_folder" in changed:
        changed["data_folder"] = folder(config)
    return " ".join(["seglib run", *(shlex.quote(f"{name}={_yaml(value)}") for name, value in changed.items())])


def folder(config: Config) -> str:
    """The folder of one's own data: below the data root as it is, elsewhere its last part, no place of this machine."""
    own = Path(config.data_folder)
    return own.name if own.is_absolute() else config.data_folder


def _yaml(value: object) -> str:
    if isinstance(value, str) and PLAIN.fullmatch(value) and value not in ("true", "false", "null"):
        return value
    return json.dumps(value, ensure_ascii=False)


def _start(run: Run) -> str:
    config = run.config
    if config.start_from:
        return f"from the weights of {_before(config)}"
    if not models.has_encoder(config.model):
        return "from random weights"
    how = {"frozen": "held fixed, the rest trained", "fine_tune": "trained, as the rest"}[config.encoder]
    return f"encoder {how}; its first weights: {run.meta['weights']}"


def _before(config: Config) -> str:
    if isinstance(config.start_from, str):
        return f"run {config.start_from}"
    changes = ", ".join(f"{name} {value}" for name, value in config.start_from.items())
    return f"a run that differs in: {changes}"


def _loss(config: Config) -> str:
    loss = config.loss
    text = loss if isinstance(loss, str) else " + ".join(f"{weight:g} × {name}" for name, weight in loss.items())
    options = ", ".join(f"{name} {value}" for name, value in config.loss_options.items())
    return f"{text} ({options})" if options else text


def _optimiser(config: Config) -> str:
    momentum = f" with momentum {config.momentum:g}" if config.optimizer == "sgd" else ""
    rates = {"encoder": config.encoder_lr, "the rest": config.decoder_lr}
    others = "".join(f", {part} {rate:g}" for part, rate in rates.items() if rate is not None)
    parts = [f"{config.optimizer}{momentum}, learning rate {config.lr:g}{others}, {config.schedule}"]
    if config.warmup_epochs:
        parts.append(f"rising over the first {config.warmup_epochs:g} epochs")
    if config.clip_norm is not None:
        parts.append(f"gradients clipped at a norm of {config.clip_norm:g}")
    return ", ".join(parts)


def _epochs(run: Run) -> str:
    config, trained = run.config, len(run.history)
    chosen = f"chosen by {CHOICES[config.select_by]}" if config.select_by in CHOICES else "the last"
    stopped = f", stopped after {config.patience} without a better one" if trained < config.epochs else ""
    return f"{trained} of at most {config.epochs}{stopped}; kept is epoch {run.meta['best_epoch']}, {chosen}"


def _augmentation(config: Config) -> str:
    used = {
        "mirrored left-right": config.horizontal_flip, "mirrored top-bottom": config.vertical_flip,
        f"turned by up to {config.rotation:g} degrees": config.rotation,
        f"cropped to a side of at least {config.crop:g}": config.crop < 1,
        f"colours changed by {config.color_jitter:g}": config.color_jitter,
        f"noise of {config.noise:g}": config.noise,
    }  # fmt: skip
    if not config.augments:
        return "none"
    fixed = f"; {config.augmented_copies} fixed copies of each image" if config.augmented_copies else ""
    return ", ".join(text for text, on in used.items() if on) + fixed


def label(run: Run) -> str:
    """What the model is called in its card's tables."""
    return runs.label(run.config)
