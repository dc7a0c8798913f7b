"""Options that make every architecture small enough for a test."""

from seglib.models import MODELS

SMALL = {name: {"width": 0.125} for name in MODELS}
SMALL["unet"] = {"width": 0.0625}
SMALL["mobilenetv2_unet"] = {"width": 0.25}  # narrower, its 15 plain ReLU layers may start with a dead one
SMALL["six_class_net"] = {"width": 0.5}
SMALL["munet"] = SMALL["munet_aspp"] = {"width": 0.125, "depth": 8}
