"""What an exported file says of itself: how its input is made of an image, and how its output becomes a mask."""

from seglib import licences, runs
from seglib.config import Config
from seglib.data.core import NORMALISATION
from seglib.exporting.network import Captured
from seglib.losses.outputs import PLANE_STEP
from seglib.metrics import THRESHOLD
from seglib.models.weights import describe as describe_weights
from seglib.runs import Run

FORMAT = 1  # of these keys; raise it when one changes its meaning
INPUT, OUTPUT = "images", "logits"  # names of the graph's one input and one output


def describe(run: Run, captured: Captured) -> dict:
    """A run's exported file in words and numbers, as JSON can hold it; nothing in it names a place of this machine."""
    config, meta = run.config, run.meta
    return {
        "format": FORMAT,
        "run": run.key,
        "model": runs.label(config),
        "task": config.task,
        "class_names": meta["class_names"],
        "input": _input(config, captured),
        "preprocessing": _preprocessing(config),
        "output": _output(config, meta["class_names"]),
        "postprocessing": _postprocessing(config, len(meta["class_names"])),
        "data": {
            "source": config.dataset, "note": meta["note"], "images": meta["images"],
            "licence": licences.of_data(config).sentence,
        },
        "encoder_weights": {
            "source": describe_weights(config.weights), "licence": licences.of_weights(config).sentence,
        },
        "trained": {
            **{name: meta[name] for name in ("commit", "python", "torch", "finished")},
            "precision": config.precision, "seed": config.seed,
        },
    }  # fmt: skip


def _input(config: Config, captured: Captured) -> dict:
    own = config.image_size
    if captured.why_fixed:
        size = {"height": own, "width": own, "why_fixed": captured.why_fixed}
    else:
        size = {"multiple_of": captured.multiple, "least": captured.least, "why_multiple": (
            "the network halves and doubles the resolution; pad other sizes at the right and the bottom with the "
            "edge's own pixels, after the normalisation, and cut the output back"
        )}  # fmt: skip
    return {
        "name": INPUT, "type": "float32", "layout": "NCHW", "channels": ["red", "green", "blue"], "batch": "any",
        "trained_and_tested_at": {"height": own, "width": own}, "size": size,
    }  # fmt: skip


def _preprocessing(config: Config) -> dict:
    """The way from an image file to the input, in the order of the keys."""
    mean, std = NORMALISATION[config.normalisation]
    own = config.image_size
    return {
        "decode": (
            "RGB, 8 bits per channel (grey of 16 bits divided by 257), turned as its EXIF orientation says; a JPEG in "
            f"Pillow's draft mode for at least {2 * own}x{2 * own} pixels (Image.draft(None, ({2 * own}, {2 * own}))), "
            "transparent pixels on black"
        ),
        "resize": {
            "width": own, "height": own, "keep_aspect_ratio": False, "method": "bilinear, antialiased",
            "as": "Pillow's Image.resize((width, height), Image.Resampling.BILINEAR), to 8 bits per channel",
        },
        "divide_by": 255.0,
        "subtract_mean": list(mean),
        "divide_by_std": list(std),
    }  # fmt: skip


def _output(config: Config, names: list[str]) -> dict:
    meaning = "logits: raw scores, before any sigmoid or softmax"
    if config.loss_options.get("target_scale") == "values":
        meaning = (
            f"grey values: plane k (counted from 0) holds about (k + 1) * {PLANE_STEP:g} where it is on, 0 elsewhere"
        )
    return {"name": OUTPUT, "type": "float32", "layout": "NCHW, height and width of the input", "channels": names,
            "meaning": meaning}  # fmt: skip


def _postprocessing(config: Config, classes: int) -> dict:
    """From the output to probabilities and to the mask; `cut` is on the raw output and gives the same mask."""
    back = (
        "before the mask is made, resize the output to the image's own size, as a viewer shows it: bilinear, "
        "antialiased where it shrinks (Pillow's Image.resize of each channel as float32); so does `seglib predict`"
    )
    if config.task == "multiclass":
        mask = "argmax over the channels (of equals the first): the class's index, 0 is the background"
        return {"original_size": back, "probability": "softmax over the channels", "mask": mask}
    if config.loss_options.get("target_scale") == "values":
        steps = [PLANE_STEP * (k + 1) for k in range(classes)]
        probability = {"divide_channels_by": steps, "then": "clamp to 0 to 1"}
        cut = [THRESHOLD * step for step in steps]
    else:
        probability, cut = "sigmoid", [0.0] * classes
    mask = "each channel is on where its output is above its cut"
    if classes > 1:
        mask += "; channels may overlap"
    return {"original_size": back, "probability": probability, "threshold": THRESHOLD, "cut": cut, "mask": mask}
