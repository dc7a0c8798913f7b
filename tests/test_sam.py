"""Segment Anything beside the models: prompts, matching, checkpoints, answers kept. Alone: pytest tests/test_sam.py"""

import json
import shutil

import numpy as np
import pytest
import tiny_sam
import torch

from seglib import params, paths
from seglib.sam import checkpoints, comparison, masks, network, prompts

KINDS = {"sam": tiny_sam.sam, "sam2": tiny_sam.sam2}
BOXES = np.array([[2.0, 3, 20, 22], [5, 5, 10, 30]])


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Folders of both kinds of checkpoint, by kind."""
    pytest.importorskip("transformers")
    return {kind: make(tmp_path_factory.mktemp("tiny") / f"tiny-{kind}") for kind, make in KINDS.items()}


@pytest.fixture(autouse=True)
def own_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path / "cache"))  # what is put there is for one test alone
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def image():
    return torch.randint(0, 255, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def two_parts():
    mask = np.zeros((64, 64), bool)
    mask[10:20, 30:50] = mask[40:44, 2:5] = True
    mask[63, 63] = True  # a speck: 1 of 4096 pixels is less than a 2000th
    return mask


def test_each_part_of_a_class_has_a_box_and_a_point_and_specks_have_none():
    assert prompts.boxes(two_parts()).tolist() == [[30, 10, 50, 20], [2, 40, 5, 44]]  # the largest first
    (x, y), small = prompts.points(two_parts())
    assert 10 < y < 20 and 30 < x < 50 and min(y - 10, 20 - y) >= 4.5  # in the middle of the short side
    assert small.tolist() in ([3.5, 41.5], [3.5, 42.5])
    alone = np.zeros((64, 64), bool)
    alone[5, 7] = True
    assert prompts.boxes(alone).tolist() == [[7, 5, 8, 6]]  # a speck is better than nothing
    assert prompts.boxes(np.zeros((8, 8), bool)).shape == (0, 4) and prompts.points(np.zeros((8, 8), bool)).shape == (
        0,
        2,
    )
    assert len(prompts.boxes(np.indices((64, 64)).sum(0) % 8 < 1)) <= prompts.MOST


def test_moved_boxes_move_further_the_same_way_and_stay_inside():
    boxes = prompts.boxes(two_parts())
    little, much = (prompts.jittered(boxes, amount, 0, "a", 0, 64) - boxes for amount in (0.1, 0.2))
    assert np.allclose(much, 2 * little) and np.abs(much).max() > 0.5
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    assert (np.abs(much) <= 0.2 * sides).all()
    assert not np.allclose(prompts.jittered(boxes, 0.1, 0, "b", 0, 64), boxes + little)  # another image, another draw
    assert not np.allclose(prompts.jittered(boxes, 0.1, 1, "a", 0, 64), boxes + little)
    assert not np.allclose(prompts.jittered(boxes, 0.1, 0, "a", 1, 64), boxes + little)  # another class, too
    whole = np.array([[0.0, 0, 64, 64]])
    assert np.abs(prompts.jittered(whole, 0.4, 0, "a", 0, 64) - 32).max() <= 32


def test_a_filled_box_and_the_overlap_of_boxes_by_hand():
    (mask,) = prompts.filled(np.array([[1.0, 2, 3, 4]]), 6)
    assert np.argwhere(mask).tolist() == [[2, 1], [2, 2], [3, 1], [3, 2]]
    assert prompts.filled(prompts.boxes(mask), 6)[0].tolist() == mask.tolist()
    first, second = np.array([[0.0, 0, 2, 2], [0, 0, 1, 1]]), np.array([[1.0, 0, 3, 2], [5, 5, 6, 6]])
    assert prompts.overlap(first, second).tolist() == [pytest.approx(1 / 3), 0]


def test_automatic_masks_are_matched_by_the_truth_and_the_others_counted():
    truth = np.zeros((2, 10, 10), bool)
    truth[0, 0:4, 0:4] = True  # 16 pixels
    near, part, elsewhere = np.zeros((3, 10, 10), bool)
    near[0:4, 0:5] = True  # IoU 16/20
    part[0:2, 0:2] = True  # IoU 4/16, all of it inside
    elsewhere[6:9, 6:9] = True  # 9 of the 84 pixels of background
    logits, told = masks.matched(np.stack([part, near, elsewhere]), truth)
    assert logits[0][near] == pytest.approx(0.8) and np.isneginf(logits[0][~near]).all()
    assert np.isneginf(logits[1]).all()  # no object of this class, no mask
    counts = {"prompts": 0, "masks": 3, "matching": 1, "parts": 1, "elsewhere": 1}
    assert told == counts | {"claimed": pytest.approx(9 / 84)}
    logits, told = masks.matched(np.zeros((0, 10, 10), bool), truth)
    assert not (logits > 0).any() and told["masks"] == 0 and told["claimed"] == 0


def test_exclusive_classes_take_the_highest_answer_and_else_background():
    logits = np.array([[[-1.0, 2.0, 3.0]], [[-np.inf, 1.0, 4.0]]])  # two classes, one row of three pixels
    assert masks.combined(logits, "multiclass")[:, 0].astype(int).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert masks.combined(logits, "planes")[:, 0].astype(int).tolist() == [[0, 1, 1], [0, 1, 1]]


def test_a_checkpoint_is_a_whole_folder_with_safetensors_or_a_known_name(tmp_path):
    with pytest.raises(ValueError, match="unknown checkpoint 'sam-vit-bas'; did you mean 'sam-vit-base'"):
        checkpoints.find("sam-vit-bas")
    assert checkpoints.find("sam-vit-base") is None and checkpoints.at_hand(["sam-vit-base"]) == {}
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("config.json", "preprocessor_config.json", "pytorch_model.bin"):
        (mine / name).write_text("{}")
    with pytest.raises(ValueError, match="unknown checkpoint"):  # a pickle is no weights
        checkpoints.check([str(mine)])
    (mine / "model.safetensors").write_bytes(b"1")
    assert checkpoints.find(str(mine)) == mine and checkpoints.title(str(mine)) == "mine"
    known = checkpoints.CHECKPOINTS["sam-vit-base"]
    snapshot = tmp_path / "hub" / "models--facebook--sam-vit-base" / "snapshots" / known.revision
    shutil.copytree(mine, snapshot)
    assert checkpoints.find("sam-vit-base") == snapshot
    shutil.copytree(mine, paths.cache() / "sam" / "sam-vit-base")
    assert checkpoints.find("sam-vit-base") == paths.cache() / "sam" / "sam-vit-base"  # ours first


def test_a_checkpoint_that_came_or_changed_makes_the_page_stale():
    pytest.importorskip("transformers")
    before = checkpoints.at_hand(["slimsam-77"])
    folder = paths.cache() / "sam" / "slimsam-77"
    folder.mkdir(parents=True)
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    there = checkpoints.at_hand(["slimsam-77"])
    (folder / "model.safetensors").write_text("{...}")
    assert before == {} and len({*there.values(), *checkpoints.at_hand(["slimsam-77"]).values()}) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"checkpoints": ["a/folder"]}, "unknown checkpoint 'a/folder'"),
        ({"jitters": [0.6]}, "jitters: 0.6, expected shares"),
        ({"models": 0}, "models is 0, expected at least 1"),
        ({"images": -1}, "images is -1"),
    ],
)
def test_parameters_that_cannot_work_are_said(change, message):
    defaults = {name: value for name, (value, _) in params.parameters_cell("07_sam_comparison").items()}
    comparison.check(defaults)
    with pytest.raises(ValueError, match=message):
        comparison.check(defaults | change)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_transformers_own_processor_and_model(tiny, image, kind):
    import transformers

    sam = network.Sam(tiny[kind], torch.device("cpu"))
    processor = getattr(transformers, {"sam": "SamProcessor", "sam2": "Sam2Processor"}[kind])(sam.processor)
    encoded = sam.encode(image)
    points = np.array([[4.5, 6.5], [20.5, 8.5], [1.5, 30.5]])
    asked = {"input_boxes": [BOXES.tolist()]}, {"input_points": [[[point] for point in points.tolist()]]}
    found = sam.boxes(encoded, BOXES), sam.points(encoded, points)
    for given, mine, several in zip(asked, found, (False, True), strict=True):
        inputs = processor(images=[image], return_tensors="pt", **given)
        sizes = [inputs.pop("original_sizes")] + ([inputs.pop("reshaped_input_sizes")] if kind == "sam" else [])
        with torch.no_grad():
            answer = sam.model(**{k: v.float() if v.is_floating_point() else v for k, v in inputs.items()},
                               multimask_output=several)  # fmt: skip
        theirs = processor.post_process_masks(answer.pred_masks, *sizes, binarize=False)[0]
        best = answer.iou_scores[0].argmax(-1) if several else torch.zeros(len(BOXES), dtype=int)
        theirs = theirs[torch.arange(len(best)), best].numpy()
        assert mine.shape == theirs.shape and np.allclose(mine, theirs, atol=1e-3 * np.abs(theirs).max())


@pytest.mark.parametrize("kind", KINDS)
def test_automatic_masks_are_those_of_transformers_pipeline(tiny, image, kind):
    from torchvision.transforms.functional import to_pil_image
    from transformers.pipelines import MaskGenerationPipeline

    sam = network.Sam(tiny[kind], torch.device("cpu"))
    mine = sam.automatic(sam.encode(image), 4, least_iou=-1, least_stability=-1)
    pipeline = MaskGenerationPipeline(model=sam.model, image_processor=sam.processor)
    theirs = pipeline(to_pil_image(image), points_per_crop=4, pred_iou_thresh=-1, stability_score_thresh=-1)["masks"]
    assert len(mine) == len(theirs) > 0
    assert all(np.array_equal(a, np.asarray(b)) for a, b in zip(mine, theirs, strict=True))
    assert sam.automatic(sam.encode(image), 4).shape == (0, 32, 32)  # none of random weights is good


def test_what_is_no_checkpoint_of_sam_or_lacks_weights_is_an_error(tiny, tmp_path):
    from safetensors.torch import load_file, save_file

    video = shutil.copytree(tiny["sam2"], tmp_path / "video")  # as SAM 2's are published
    config = json.loads((video / "config.json").read_text())
    (video / "config.json").write_text(json.dumps(config | {"model_type": "sam2_video"}))
    assert network.Sam(video, torch.device("cpu")).parameters > 0
    (video / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    with pytest.raises(ValueError, match="a model of type 'bert', expected one of sam"):
        network.Sam(video, torch.device("cpu"))
    half = shutil.copytree(tiny["sam"], tmp_path / "half")
    tensors = load_file(half / "model.safetensors")
    tensors.pop("vision_encoder.patch_embed.projection.weight")
    save_file(tensors, half / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="lacks 1 tensors of SamModel, such as vision_encoder"):
        network.Sam(half, torch.device("cpu"))
    (half / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    with pytest.raises(ValueError, match="cannot be loaded as SamModel"):
        network.Sam(half, torch.device("cpu"))
