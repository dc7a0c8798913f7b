"""segmentation_models.pytorch's U-Net on MobileNetV2 as a model of this workbook, so that all sides train the same."""

import segmentation_models_pytorch as smp
import torch

from seglib.models.base import SegmentationModel


class SmpUnet(SegmentationModel):
    """smp.Unet("mobilenet_v2") with random weights."""

    def __init__(self, *, num_classes: int = 1, weights: str = "none"):
        super().__init__()
        net = smp.Unet("mobilenet_v2", encoder_weights=None, classes=num_classes)
        self.encoder, self.decoder, self.head = net.encoder, net.decoder, net.segmentation_head

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        return self.encoder(images)

    def decode(self, features: list[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
        return self.head(self.decoder(features))
