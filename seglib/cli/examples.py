"""What the help of each command ends with: calls as they are typed, and what they are for."""

EXAMPLES: dict[str, list[tuple[str, str]]] = {
    "check": [("seglib check isic2016", "before hours are spent: are parameters, data and weights there and right?")],
    "data": [("seglib data oxford_pet", "download, verify, unpack; read every file once and list all that is wrong")],
    "report": [
        ("seglib report", "the demo study: outputs/demo/index.html"),
        ("seglib report isic2016 --set 'epochs=2 seeds=[0]'", "a quick look, in a folder of its own"),
        ("seglib report demo --force", "every notebook executed anew; its runs come from the store"),
    ],
    "why": [("seglib why demo", "after an edit: which notebooks and runs would be done again, and what has changed?")],
    "plan": [("seglib plan isic2016", "before hours are spent: which runs, how long, how much disk and memory?")],
    "verify": [
        ("seglib verify demo", "three of its runs again, each of another kind: do they end in the same bytes?"),
        ("seglib verify demo --sample 10%", "a tenth of them; --all takes all"),
    ],
    "run": [
        ("seglib run dataset=lesions image_size=64 epochs=2", "one run; equal values make the same run as a notebook"),
        ("seglib run dataset=isic2016 model=unet 'loss={bce: 1.0, dice: 0.5}'", "fields are those of seglib/config.py"),
    ],
    "runs": [
        ("seglib runs", "the keys of all runs, what they hold and which page shows them"),
        ("seglib runs --unused", "those that no report shows and no study asks for"),
        ("seglib runs --remove --unused", "says how much time they hold and asks, then removes them"),
    ],
    "compare": [("seglib compare 3e805e05ba032ac4 e66dace7d0e13072", "two runs on one page")],
    "predict": [
        ("seglib predict best:isic2016 photos --to masks", "the study's best model on a folder of images"),
        ("seglib predict 3e805e lesion.jpg --to masks --overlays --probabilities", "one image, by the start of a key"),
        ("seglib predict best:demo 'scans/**/*.png' --to out --masks truth", "Dice and IoU per image, too"),
        (
            "seglib predict best:isic2016 large --to out --tile 512 --flips both --masks truth --compare",
            "do tiles and flips help? a table of each, paired",
        ),
    ],
    "export": [("seglib export best:demo --to model", "ONNX and torch.export, checked, with a model card beside them")],
    "card": [("seglib card best:demo --to model", "the card alone: data, scores with intervals, limits, licences")],
    "track": [
        ("seglib track tensorboard --to logs", "then: tensorboard --logdir logs"),
        ("seglib track mlflow 3e805e --to http://localhost:5000", "one run to an MLflow server"),
    ],
    "weights": [
        ("seglib weights", "the ImageNet encoder of the demo, once, so that a report needs no network"),
        ("seglib weights sam-vit-base", "a checkpoint of Segment Anything for notebook 07"),
    ],
}

START = """A first session:
  seglib report                                  train, compare and render the demo study
  seglib runs                                    what is in the store
  seglib predict best:demo photos --to masks     use the best model

A study is a folder of params/: one YAML per notebook. A run is a set of values (seglib/config.py); its key is the
digest of all that changes its result, so that the same run from a notebook, a report and this command is one run,
trained once. Data lie in data/ (or SEGLIB_DATA), results in outputs/ (or SEGLIB_OUTPUTS).

`seglib COMMAND --help` explains a command and ends with examples."""


def epilog(command: str) -> str:
    """The examples of a command, each under what it is for; empty if there are none."""
    lines = [f"  # {what}\n  {call}" for call, what in EXAMPLES.get(command, [])]
    return "\n".join(["examples:", *lines]) if lines else ""
