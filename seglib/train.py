"""The training loop. It knows tensors and a config; no paths, no files, no plots.

The order of the images, the augmentation, the dropout and the learning rate are functions of (seed, epoch, step)
and of nothing else, so that a training that was broken after any step and went on ends as one that never stopped.
"""

import contextlib
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

import torch

from seglib import metrics
from seglib.batches import Images, Pulse, compiled, is_augmented, no_pulse, passes
from seglib.config import Config
from seglib.data.core import Dataset, Split
from seglib.evaluation import Evaluation, criterion_of, score
from seglib.features import Features, FrozenImages, can_be_kept, is_fixed
from seglib.memory import Budget
from seglib.models.base import SegmentationModel
from seglib.optim import build_optimizer, set_learning_rates
from seglib.randomness import generator, integer

SCORES = {"iou": metrics.iou, "dice": metrics.dice}


@dataclass
class State:
    """All that a training needs to go on from where it is; plain values and tensors on the CPU."""

    model: dict  # what training can change, see SegmentationModel.trained_state
    optimizer: dict
    epoch: int = 0  # epochs done
    step: int = 0  # steps done of the epoch after those
    sums: dict = field(default_factory=dict)  # of the losses of these steps
    history: list[dict] = field(default_factory=list)  # one row per epoch
    best_epoch: int = 0
    best_model: dict = field(default_factory=dict)
    seconds: dict = field(default_factory=lambda: {"train": 0.0, "val": 0.0})  # spent so far


class Training:
    """A model on its way: `run` trains it to its end, `state` is what it would go on from.

    Args: state — where to go on; keep_features — False runs a frozen encoder anew in every step, with the same
        result.
    """

    def __init__(
        self,
        model: SegmentationModel,
        dataset: Dataset,
        config: Config,
        device: torch.device,
        state: State | None = None,
        keep_features: bool = True,
    ):
        self.model, self.dataset, self.config, self.device = model, dataset, config, device
        self.criterion = criterion_of(config, dataset.num_classes)
        self.optimizer = build_optimizer(model, config)
        self.budget, self.keep_features = Budget(), keep_features and can_be_kept(config)
        views = config.feature_views if is_augmented(config) else 0
        self.train, self.val = self._split(dataset.train, views), self._split(dataset.val)
        self.epoch = self.step = self.best_epoch = 0
        self.sums: dict[str, torch.Tensor] = {}
        self.history: list[dict] = []
        self.best_model: dict[str, torch.Tensor] = {}
        self.seconds, self.running = {"train": 0.0, "val": 0.0}, None
        self.pulse: Pulse = no_pulse
        if state is not None:
            self._go_on(state)

    @property
    def finished(self) -> bool:
        waited = self.epoch - self.best_epoch
        return self.epoch == self.config.epochs or 0 < self.config.patience <= waited

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return math.ceil(len(self.train) / self.config.batch_size)

    def run(self, pulse: Pulse = no_pulse, on_epoch: Callable[[dict], None] = lambda row: None):
        """Trains until finished and leaves the chosen epoch's weights in the model.

        Args: pulse — called after every step, encoded part and validation batch, whenever `state` is whole;
            on_epoch — called with each new row of the history.
        Raises: FloatingPointError if a loss is not finite.
        """
        self.pulse = pulse
        while not self.finished:
            with self._timed("train"):
                self._train_one_epoch()
                means = self._means()
            with self._timed("val"):
                row = {"epoch": self.epoch + 1, **means, **self._validate()}
            self.epoch, self.step, self.sums = self.epoch + 1, 0, {}
            if _better(row, self.history[: self.best_epoch][-1:], self.config.select_by):
                self.best_epoch = self.epoch
                self.best_model = {name: t.detach().clone() for name, t in self.model.trained_state().items()}
            self.history.append(row)
            on_epoch(row)
        self.model.load_state_dict(self.best_model, strict=False)  # a frozen encoder is not among them

    def state(self) -> State:
        """Where training is now. Raises FloatingPointError rather than keep a state that is of no use."""
        self._check_finite()
        model, optimizer, sums = self.model.trained_state(), self.optimizer.state_dict(), self.sums
        return State(
            *(_copy(part) for part in (model, optimizer)),
            self.epoch, self.step, _copy(sums), list(self.history), self.best_epoch, _copy(self.best_model),
            self.spent(),
        )  # fmt: skip

    def spent(self) -> dict[str, float]:
        """Seconds in training and in validation so far, those of the epoch that is not done too."""
        part, started = self.running or ("train", monotonic())
        return self.seconds | {part: self.seconds[part] + monotonic() - started}

    def _go_on(self, state: State) -> None:
        self.model.load_state_dict(state.model, strict=False)
        self.optimizer.load_state_dict(state.optimizer)
        self.epoch, self.step, self.history = state.epoch, state.step, list(state.history)
        self.sums = {name: value.to(self.device) for name, value in state.sums.items()}
        self.best_epoch, self.best_model, self.seconds = state.best_epoch, state.best_model, dict(state.seconds)

    def _split(self, split: Split, views: int = 0) -> Images | Features:
        config, device, budget = self.config, self.device, self.budget
        if not is_fixed(config):
            return Images(split, config, device, compiled(self.model, config), budget)
        decode = compiled(self.model.decode, config)
        images = FrozenImages(split, config, device, self.model, decode, budget)
        if not self.keep_features:
            return images
        return Features(images, self.model, decode, self.budget, views, pulse=lambda: self.pulse())

    def _train_one_epoch(self) -> None:
        """The steps of the epoch that are left."""
        self.model.train()
        batches = self._order().split(self.config.batch_size)[self.step :]
        parts = self.train.batches((part for batch in batches for part in passes(batch, self.config)), self.epoch)
        for batch in batches:
            torch.manual_seed(integer(self.config.seed, self.epoch, self.step))  # dropout's stream
            set_learning_rates(self.optimizer, self.config, self.epoch + (self.step + 0.5) / self.steps)
            self.optimizer.zero_grad(set_to_none=True)
            for _, inputs, target in itertools.islice(parts, len(passes(batch, self.config))):
                loss, terms = self.criterion(self.train.logits(inputs), target)
                (loss.sum() / len(batch)).backward()
                self._add(loss, terms)
            if self.config.clip_norm:
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
            self.optimizer.step()
            self.step += 1
            if self.device.type == "cpu":  # where looking costs nothing; a GPU is asked once an epoch
                self._check_finite()
            self.pulse()

    @contextlib.contextmanager
    def _timed(self, part: str):
        self.running = part, monotonic()
        yield
        self.seconds, self.running = self.spent(), None

    def _order(self) -> torch.Tensor:
        return torch.randperm(len(self.train), generator=generator(self.config.seed, self.epoch))

    def _add(self, loss: torch.Tensor, terms: dict[str, torch.Tensor]) -> None:
        """Adds to the epoch's sums, on the device; `not_finite` is the first step whose loss is not, plus 1."""
        terms = {f"train_{name}": term for name, term in terms.items()} if len(terms) > 1 else {}
        for name, value in {"train_loss": loss, **terms}.items():
            self.sums[name] = self.sums.get(name, 0) + value.detach().sum()
        first = self.sums.get("not_finite", torch.zeros((), dtype=torch.int64, device=self.device))
        broken = ~self.sums["train_loss"].isfinite() & (first == 0)
        self.sums["not_finite"] = torch.where(broken, self.step + 1, first)

    def _check_finite(self) -> None:
        if step := int(self.sums.get("not_finite", 0)):
            batch = self._order().split(self.config.batch_size)[step - 1]
            images = ", ".join(self.dataset.train.names[i] for i in batch[:8].tolist())
            raise FloatingPointError(
                f"the training loss is not finite in epoch {self.epoch + 1}, step {step} of {self.steps}; its images: "
                f"{images}{' …' if len(batch) > 8 else ''}; a lower lr, warmup_epochs or clip_norm may help"
            )

    def _means(self) -> dict[str, float]:
        """The epoch's mean training loss per image and, of a weighted sum, each term's."""
        self._check_finite()
        return {name: float(v) / len(self.train) for name, v in self.sums.items() if name != "not_finite"}

    def _validate(self) -> dict[str, float]:
        return _validation_row(score(self.model, self.val, self.config, pulse=self.pulse), self.config)


def _validation_row(evaluation: Evaluation, config: Config) -> dict[str, float]:
    scores = {name: metrics.per_image(score, evaluation.counts, config.task) for name, score in SCORES.items()}
    loss = float(evaluation.loss.mean())
    if not math.isfinite(loss):
        raise FloatingPointError("the validation loss is not finite; a lower lr, warmup_epochs or clip_norm may help")
    return {"val_loss": loss} | {f"val_{n}": float(s.nanmean()) for n, s in scores.items()}


def _better(row: dict, best: list[dict], select_by: str) -> bool:
    if select_by == "last" or not best or math.isnan(best[0][select_by]):
        return True
    return row[select_by] < best[0][select_by] if select_by == "val_loss" else row[select_by] > best[0][select_by]


def _copy(value: object) -> object:
    """A copy on the CPU of what is made of tensors, dicts, lists and plain values."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
