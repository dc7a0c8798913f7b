"""Segment Anything as transformers has it: an image encoded once, then asked with boxes, points or a grid of points.

References: Kirillov et al., Segment Anything, ICCV 2023, arXiv:2304.02643; Ravi et al., SAM 2, 2024, arXiv:2408.00714;
Chen et al., SlimSAM, NeurIPS 2024, arXiv:2312.05284.
"""

from pathlib import Path

import numpy as np
import torch

from seglib.sam import prompts

CLASSES = {  # model_type in config.json → model and image processor; a SAM 2 checkpoint calls itself one for video
    "sam": ("SamModel", "SamImageProcessor"),
    "sam2": ("Sam2Model", "Sam2ImageProcessor"),
    "sam2_video": ("Sam2Model", "Sam2ImageProcessor"),
}
AT_ONCE = 64  # points of the grid per pass
LEAST_IOU, LEAST_STABILITY, MOST_OVERLAP = 0.88, 0.95, 0.7  # of automatic masks, as SAM's authors filter them


class Sam:
    """A checkpoint, loaded. Images are square; logits are at the image's size, and above 0 a pixel is in the mask."""

    def __init__(self, folder: Path, device: torch.device):
        """Raises: ValueError for a folder that holds another kind of model, or not all of its weights."""
        import transformers

        kind = transformers.PreTrainedConfig.get_config_dict(folder, local_files_only=True)[0].get("model_type")
        if kind not in CLASSES:
            raise ValueError(f"{folder} holds a model of type {kind!r}, expected one of {', '.join(CLASSES)}")
        model, processor = (getattr(transformers, name) for name in CLASSES[kind])
        transformers.logging.set_verbosity_error()  # a page shows what is written to the terminal
        transformers.logging.disable_progress_bar()
        try:
            self.model, told = model.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
            self.processor = processor.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # transformers and safetensors raise many kinds for what they cannot read
            raise ValueError(f"{folder} cannot be loaded as {model.__name__}: {error}") from error
        if missing := sorted(told["missing_keys"]):
            raise ValueError(f"{folder} lacks {len(missing)} tensors of {model.__name__}, such as {missing[0]}")
        self.model, self.device = self.model.eval().to(device), device
        size = self.processor.size
        self.side = size.longest_edge or size.height  # pixels: what an image is resized to

    @property
    def parameters(self) -> int:
        return sum(tensor.numel() for tensor in self.model.parameters())

    @torch.inference_mode()
    def encode(self, image: torch.Tensor):
        """An image (3, S, S) uint8 as what the prompts are answered from."""
        inputs = self.processor(image, return_tensors="pt")
        self.size = image.shape[-1]
        self.sizes = {
            name: inputs[name].tolist() for name in ("original_sizes", "reshaped_input_sizes") if name in inputs
        }
        return self.model.get_image_embeddings(inputs["pixel_values"].to(self.device))

    def boxes(self, encoded, boxes: np.ndarray) -> np.ndarray:
        """One mask per box (n, 4), the model's single answer: logits (n, S, S)."""
        if not len(boxes):
            return np.zeros((0, self.size, self.size), np.float32)
        logits, _ = self._ask(encoded, multimask_output=False, input_boxes=self._scaled(boxes))
        return logits[:, 0].cpu().numpy()

    def points(self, encoded, points: np.ndarray) -> np.ndarray:
        """One mask per point (n, 2), of the model's three the one that it rates best itself: logits (n, S, S)."""
        if not len(points):
            return np.zeros((0, self.size, self.size), np.float32)
        logits, rated = self._ask(encoded, multimask_output=True, input_points=self._scaled(points)[:, :, None])
        return logits[torch.arange(len(points)), rated.argmax(1)].cpu().numpy()

    def automatic(
        self, encoded, per_side: int, least_iou: float = LEAST_IOU, least_stability: float = LEAST_STABILITY
    ) -> np.ndarray:
        """All masks of a grid of `per_side`² points that the model rates and holds to be good, without those whose
        boxes overlap by MOST_OVERLAP with a better one's: (n, S, S) bool. Filters and suppression are transformers'."""
        blank = torch.zeros(3, self.size, self.size, dtype=torch.uint8)
        crops, grid, _, _ = self.processor.generate_crop_boxes(blank, self.side, points_per_crop=per_side)
        found = []
        for points in grid.to(self.device).split(AT_ONCE, dim=1):
            logits, rated = self._ask(encoded, multimask_output=True, input_points=points)
            size = (self.size, self.size)
            found.append(self.processor.filter_masks(logits, rated, size, crops[0], least_iou, least_stability))
        masks = [mask for kept, _, _ in found for mask in kept]
        if not masks:
            return np.zeros((0, self.size, self.size), bool)
        ratings, around = (torch.cat([part[i] for part in found]).cpu() for i in (1, 2))
        kept, *_ = self.processor.post_process_for_mask_generation(masks, ratings, around, MOST_OVERLAP)
        return np.stack([np.asarray(mask, bool) for mask in kept])

    @torch.inference_mode()
    def _ask(self, encoded, **asked) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (n, masks, S, S) and the model's own ratings of them (n, masks)."""
        answer = self.model(image_embeddings=encoded, **asked)
        logits = self.processor.post_process_masks(answer.pred_masks, **self.sizes, binarize=False)[0]
        return logits.float(), answer.iou_scores[0].float()

    def _scaled(self, coordinates: np.ndarray) -> torch.Tensor:
        """From pixels of the image to those of the model's input: (1, n, …)."""
        scaled = torch.as_tensor(coordinates * (self.side / self.size), dtype=torch.float32)
        return scaled[None].to(self.device)


class FilledBox:
    """The prompt itself as an answer: each box filled. What SAM makes of a box is worth what it has over this."""

    parameters = 0

    def encode(self, image: torch.Tensor):
        self.size = image.shape[-1]

    def boxes(self, encoded, boxes: np.ndarray) -> np.ndarray:
        """Logits (n, S, S): 1 inside the box, −1 outside."""
        return np.where(prompts.filled(boxes, self.size), 1.0, -1.0).astype(np.float32)
