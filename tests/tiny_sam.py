"""Tiny, randomly initialised checkpoints of Segment Anything, saved as the published ones are."""

import torch


def sam(folder):
    """SAM of some thousand parameters on 64 px, as safetensors in `folder`."""
    from transformers import SamConfig, SamImageProcessor, SamModel

    torch.manual_seed(0)
    vision = {
        "hidden_size": 16, "output_channels": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 64,
        "patch_size": 16, "window_size": 2, "global_attn_indexes": [0], "num_pos_feats": 8, "mlp_ratio": 1.0,
        "initializer_range": 0.02,
    }  # fmt: skip
    prompt = {"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
    decoder = {
        "hidden_size": 16,
        "mlp_dim": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "iou_head_hidden_dim": 8,
    }
    model = SamModel(SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder))
    model.save_pretrained(folder)
    square = {"height": 64, "width": 64}
    SamImageProcessor(size={"longest_edge": 64}, pad_size=square).save_pretrained(folder)
    return folder


def sam2(folder):
    """SAM 2 of some thousand parameters on 64 px, as safetensors in `folder`."""
    from transformers import Sam2Config, Sam2ImageProcessor, Sam2Model

    torch.manual_seed(0)
    backbone = {
        "model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1, "image_size": [64, 64],
        "blocks_per_stage": [1, 2, 1, 1], "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 1, 1], "window_size_per_stage": [4, 2, 2, 2],
        "global_attention_blocks": [2], "window_positional_embedding_background_size": [4, 4],
    }  # fmt: skip
    vision = {
        "backbone_config": backbone, "backbone_channel_list": [64, 32, 16, 8], "fpn_hidden_size": 32,
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
    }  # fmt: skip
    prompt = {"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
    decoder = {
        "hidden_size": 32,
        "mlp_dim": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "iou_head_hidden_dim": 8,
    }
    model = Sam2Model(Sam2Config(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder))
    model.save_pretrained(folder)
    Sam2ImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder
