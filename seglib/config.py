"""What one training run is: a flat, frozen, strict set of values, and the only place of their defaults."""

import dataclasses
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field

from seglib import names

# A number as YAML 1.2 writes it. papermill reads YAML 1.1, where 1e-4 (no dot) arrives as a string.
_NUMBER = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?")

CHOICES = {
    "task": ("binary", "multiclass", "planes"),
    "border": ("foreground", "background", "ignore"),
    "normalisation": ("imagenet", "half", "raw"),
    "encoder": ("fine_tune", "frozen"),
    "optimizer": ("adam", "sgd"),
    "schedule": ("constant", "cosine", "poly"),
    "select_by": ("val_dice", "val_iou", "val_loss", "last"),
    "device": ("auto", "cpu", "cuda", "mps"),
    "precision": ("auto", "float32", "bfloat16"),
    "compile": ("none", "default", "reduce-overhead"),
}
MINIMUM = {
    "image_size": 32, "train_images": 0, "val_images": 0, "test_images": 0, "data_seed": 0, "folds": 0, "fold": 0,
    "rotation": 0, "color_jitter": 0, "noise": 0, "augmented_copies": 0, "overfit": 0,
    "batch_size": 1, "epochs": 1, "seed": 0, "threads": 0, "momentum": 0, "warmup_epochs": 0, "patience": 0,
    "accumulate": 0, "feature_views": 0,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Config:
    """One run. Every field changes the result, so every field is part of the run key.

    Raises: ValueError for a wrong type, a value out of range or a pair that cannot work together.
    """

    # data
    dataset: str = "lesions"  # a name in seglib.data.SOURCES
    task: str = "binary"  # binary, multiclass or planes; the source must offer it
    data_folder: str = ""  # of dataset folder: the folder under the data root that holds images, masks, classes.yaml
    image_size: int = 128  # pixels; images and masks are resized to a square of this side
    train_images: int = 0  # how many training images to use; 0 = all the source has
    val_images: int = 0  # how many validation images; 0 = all
    test_images: int = 0  # how many test images; 0 = all
    data_seed: int = 0  # seed of a generated source
    folds: int = 0  # cross-validation: cut train and val into this many parts by hash of the name; 0 = off
    fold: int = 0  # which of the folds is val, counted from 0; the others are train
    border: str = "foreground"  # the side of a border that annotators drew (oxford_pet): foreground, background, ignore
    normalisation: str = "imagenet"  # imagenet (its mean and std), half (0.5, 0.5) or raw (0 to 1)
    # augmentation of the training images, drawn anew in every epoch (see seglib.data.augment)
    horizontal_flip: bool = False  # mirror left-right with probability 0.5
    vertical_flip: bool = False  # mirror top-bottom with probability 0.5
    rotation: float = 0.0  # degrees; the angle is uniform in ± this
    crop: float = 1.0  # least side of a random square crop, as a share of the image's; resized back; 1 = off
    color_jitter: float = 0.0  # strength s: brightness, contrast, saturation × (1 ± s), hue turned by ± s/4; 0 = off
    noise: float = 0.0  # standard deviation of Gaussian noise on images scaled to 0 to 1; 0 = off
    # What a report did otherwise is switched on by false, to see what it did:
    joint_transforms: bool = True  # one geometry for image and mask; false is report 1's fault, one for each
    all_objects: bool = True  # coco3's masks to train on; false is report 5's fault, an image's last object alone
    augmented_copies: int = 0  # fixed augmented copies of each training image, added to train; then none per epoch
    overfit: int = 0  # a sanity check: so many training images are train, val and test at once; 0 = off
    # model
    model: str = "mobilenetv2_decoder"  # a name in seglib.models.MODELS, or module:Name
    model_options: dict = field(default_factory=dict)  # keywords of that model
    weights: str = "none"  # of the encoder: imagenet-pypi, imagenet, a file, or none (random)
    encoder: str = "fine_tune"  # fine_tune (trained too) or frozen (no gradients, BatchNorm in eval)
    frozen_statistics: bool = True  # of a frozen encoder's BatchNorm; false is report 1's fault, they drift
    # another run whose best weights training starts from: its key, or what differs in its config ({encoder: frozen})
    start_from: str | dict = ""
    # of a frozen encoder alone (one that is trained has new draws in each epoch): 0 = augmentation is drawn anew in
    # every epoch; k = only k times, epoch e has draw e mod k, so that the encoder sees each image k times in all
    feature_views: int = 0
    # training
    loss: str | dict = "bce"  # a name in seglib.losses.LOSSES, or weights such as {mse: 1.0, dice: 60.0}
    loss_options: dict = field(default_factory=dict)  # keywords of build_loss
    optimizer: str = "adam"  # adam or sgd
    lr: float = 1e-3  # learning rate
    encoder_lr: float | None = None  # learning rate of the encoder; none = lr
    decoder_lr: float | None = None  # learning rate of all that is not encoder; none = lr
    momentum: float = 0.9  # of sgd; adam does not use it
    schedule: str = "constant"  # of the learning rates over the epochs: constant, cosine or poly (power 0.9)
    warmup_epochs: float = 0.0  # epochs in which the learning rates rise linearly from 0
    clip_norm: float | None = None  # largest norm of all gradients together; none = not clipped
    batch_size: int = 16  # images per step
    accumulate: int = 0  # passes that a step is divided into, to need less memory; 0 = as few as fit this machine
    epochs: int = 50  # passes over the training images
    patience: int = 0  # epochs without a better one (by select_by) after which training stops; 0 = never
    select_by: str = "val_dice"  # the epoch kept: the best by val_dice, val_iou or val_loss, or the last
    test_in_eval_mode: bool = True  # false is report 5's fault: BatchNorm and dropout as in training, in its batches
    seed: int = 0  # initial weights, order of the images, augmentation, dropout
    # machine: these change the last bits of a result, so they belong to the run and not to whoever starts it
    device: str = "auto"  # auto, cpu, cuda or mps
    threads: int = 0  # intra-op threads on the CPU; 0 = one per core this process may use
    channels_last: bool = True  # memory format of images and weights
    precision: str = "auto"  # float32, or bfloat16 autocast; auto = bfloat16 on a GPU that has it, else float32
    compile: str = "none"  # torch.compile of the training step: none, default or reduce-overhead (CUDA graphs)
    deterministic: bool = True  # on a GPU: only kernels that give the same bytes each time

    def __post_init__(self):
        for name, kind in KINDS.items():
            object.__setattr__(self, name, checked(name, getattr(self, name), kind))
        if not self.start_from:  # {} is none, too
            object.__setattr__(self, "start_from", "")
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(names.unknown(name, getattr(self, name), allowed))
        for name, least in MINIMUM.items():
            if not least <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a number of at least {least}")
        for name in ("lr", "encoder_lr", "decoder_lr", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}, expected a positive number")
        self._check_data()
        self._check_pairs()

    def _check_pairs(self) -> None:
        """Raises for two fields that cannot both be as they are."""
        if self.encoder == "frozen" and self.encoder_lr is not None:
            raise ValueError("encoder: frozen and encoder_lr exclude each other; drop encoder_lr or fine-tune")
        if self.encoder != "frozen" and not self.frozen_statistics:
            raise ValueError("frozen_statistics: false is a fault of frozen encoders; set encoder: frozen or drop it")
        if self.dataset != "coco3" and not self.all_objects:
            raise ValueError(f"all_objects: false is a fault of coco3's masks; {self.dataset} has none to lose")
        if self.patience and self.select_by == "last":
            raise ValueError("patience needs a score to wait for; set select_by to val_dice, val_iou or val_loss")
        if self.accumulate > self.batch_size:
            raise ValueError(f"accumulate is {self.accumulate}, more than the {self.batch_size} images of a batch")
        if self.warmup_epochs > self.epochs:
            raise ValueError(f"warmup_epochs are {self.warmup_epochs}, more than the {self.epochs} epochs")

    def _check_data(self) -> None:
        """Raises for a fold, a crop or an augmentation out of its range."""
        if self.folds == 1 or self.fold >= max(self.folds, 1):
            raise ValueError(f"fold {self.fold} of folds {self.folds}; expected folds of at least 2 and fold below it")
        if not 0.1 <= self.crop <= 1:
            raise ValueError(f"crop is {self.crop}, expected a share of the side from 0.1 to 1 (off)")
        if self.color_jitter > 1:
            raise ValueError(f"color_jitter is {self.color_jitter}, expected a strength from 0 to 1")
        if self.noise > 1:
            raise ValueError(f"noise is {self.noise}, expected a share of the range from black to white, 0 to 1")
        if self.augmented_copies and self.overfit:
            raise ValueError("overfit and augmented_copies exclude each other: what was trained on would not be tested")
        if self.augmented_copies and not self.augments:
            raise ValueError("augmented_copies without an augmentation would repeat the images; switch one on")

    @property
    def augments(self) -> bool:
        """Whether any augmentation is switched on."""
        geometry = self.horizontal_flip or self.vertical_flip or self.rotation > 0 or self.crop < 1
        return geometry or self.color_jitter > 0 or self.noise > 0

    def with_(self, **changes) -> "Config":
        """A copy with some fields changed; unknown fields are an error."""
        return from_mapping({**dataclasses.asdict(self), **changes})


FIELDS = tuple(f.name for f in dataclasses.fields(Config))
KINDS = typing.get_type_hints(Config)


def from_mapping(values: Mapping) -> Config:
    """A Config from plain values, as YAML or JSON holds them.

    Raises: ValueError for a key that is not a field (with the nearest one) and for all that Config refuses.
    """
    for name in values:
        if name not in FIELDS:
            raise ValueError(names.unknown("parameter", name, FIELDS))
    return Config(**values)


def checked(name: str, value: object, kind: object) -> object:
    """The value as its declared kind, or a ValueError that says what was expected."""
    kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if type(value) is dict and dict in kinds:
        return _leaf(name, value)
    if type(value) in kinds:
        return value
    if float in kinds and type(value) is int:
        return float(value)
    if float in kinds and isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    expected = " or ".join("none" if k is type(None) else k.__name__ for k in kinds)
    raise ValueError(f"{name} is {value!r} ({type(value).__name__}), expected {expected}")


def _key(name: str, key: object) -> str:
    if not isinstance(key, str):
        raise ValueError(f"{name} has the key {key!r} ({type(key).__name__}), expected names")
    return key


def _leaf(where: str, value: object) -> object:
    """A value inside a mapping: what JSON can hold, numbers as numbers."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    if isinstance(value, list):
        return [_leaf(where, item) for item in value]
    if isinstance(value, dict):
        return {_key(where, key): _leaf(f"{where}: {key}", item) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ValueError(f"{where} is {value!r} ({type(value).__name__}), expected a number, a text, true or false")
