"""How an exported model is used: its files, what was checked of them, and a program that needs nothing of seglib."""

from collections.abc import Mapping

from seglib.runs import Run

HEADING = "Files and how to use them"

PROGRAM = """import json
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("model.onnx")
told = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
before, after = told["preprocessing"], told["postprocessing"]
size = before["resize"]["width"], before["resize"]["height"]

image = Image.open("image.png")
own = image.size[::-1] if image.getexif().get(274) in (5, 6, 7, 8) else image.size  # as its EXIF orientation says
image.draft(None, (2 * size[0], 2 * size[1]))  # of a JPEG; others it leaves as they are
image = ImageOps.exif_transpose(image)
if image.has_transparency_data:
    image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
image = image.convert("RGB")
pixels = np.asarray(image.resize(size, Image.Resampling.BILINEAR), np.float32) / np.float32(before["divide_by"])
pixels = (pixels - np.float32(before["subtract_mean"])) / np.float32(before["divide_by_std"])
output = session.run(None, {told["input"]["name"]: pixels.transpose(2, 0, 1)[None]})[0][0]

channels = [Image.fromarray(channel).resize(own, Image.Resampling.BILINEAR) for channel in output]
output = np.stack([np.asarray(channel) for channel in channels])  # at the image's own size
if told["task"] == "multiclass":
    mask = output.argmax(0)  # class indices
else:
    mask = output > np.float32(after["cut"])[:, None, None]  # one plane per class
np.save("mask.npy", mask)
"""


def text(run: Run, files: Mapping[str, object]) -> str:
    """The section on exported files.

    Args: files — file name → what its check found, as text.
    """
    rows = [f"- **{name}**: {found}" for name, found in files.items()]
    parts = [
        "Compared, when they were written, with the trained model on test images of its run:", "\n".join(rows),
        "Each file says in its own metadata how an image becomes its input and its output a mask "
        "(ONNX: `metadata_props`; `.pt2`: the extra file `description.json`).",
    ]  # fmt: skip
    if any(name.endswith(".onnx") for name in files):
        parts.append(f"With onnxruntime, Pillow and numpy alone:\n\n```python\n{PROGRAM}```")
    return "\n\n".join(parts)
