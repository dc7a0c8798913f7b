"""The model of a finished run, as its training left it."""

from seglib import seal
from seglib.models import build_model
from seglib.models.base import SegmentationModel
from seglib.runs import Run


def restored(run: Run) -> SegmentationModel:
    """The trained model of a run, in evaluation, float32, on the CPU.

    Raises: ValueError for weights that are damaged or do not fit the model as its code now is.
    """
    weights, config = seal.weights(run.folder), run.config
    model = build_model(config.model, num_classes=len(run.meta["class_names"]), **config.model_options)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"run {run.key}: its weights do not fit {config.model}, whose code has changed: {error}"
        ) from None
    return model.requires_grad_(False).eval()
