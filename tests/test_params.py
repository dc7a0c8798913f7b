"""Studies, YAML files and overrides, right and wrong. Alone: pytest tests/test_params.py"""

import pytest

from seglib import params, paths

GOOD = "dataset: lesions\nimage_size: 32\n"


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Writes params/mine/02_frozen_encoder.yaml and reads it back as a study."""
    monkeypatch.setattr(paths, "PARAMS", tmp_path / "params")

    def write(text, notebook="02_frozen_encoder", overrides=""):
        file = tmp_path / "params" / "mine" / f"{notebook}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return params.read("mine", overrides)

    return write


@pytest.mark.parametrize("name", params.studies())
def test_every_study_of_the_repository_is_valid(name):
    assert params.read(name).notebooks


def test_values_of_the_yaml_win_over_the_cell_and_overrides_over_both(study):
    read = study(GOOD + "epochs: 5\nlr: 1e-4\n", overrides="epochs=2 seeds=[0, 1, 2]")
    values = read.notebooks["02_frozen_encoder"]
    assert (values["epochs"], values["lr"], values["seeds"], values["batch_size"]) == (2, 1e-4, [0, 1, 2], 16)
    assert read.folder_name.startswith("mine@") and values["study"] == read.folder_name


def test_without_overrides_the_report_keeps_the_name_of_the_study(study):
    assert study(GOOD).folder_name == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 5\n", r"02_frozen_encoder.yaml: unknown parameter 'epoch'; did you mean 'epochs'"),
        ("study: demo\n", "unknown parameter 'study'"),
        ("epochs: five\n", "epochs is 'five'"),
        ("epochs: [1, 2]\n", "epochs is"),
        ("seeds: 0\n", r"seeds is 0, expected a list of int such as \[0, 1\]"),
        ("seeds: []\n", "expected a list"),
        ("seeds: [a]\n", r"seeds\[0\] is 'a'"),
        ("lr: -1\n", "lr is -1.0, expected a positive number"),
        ("lr: 1e-4 # fine\nlr: 1e-3\n", "duplicate key"),
        ("epochs: 1\n  lr: 2\n", "not readable as YAML"),
        ("- epochs\n", "holds a list, expected"),
        ("loss: !!python/object/apply:os.system [id]\n", "02_frozen_encoder.yaml, line 1: .* is not plain data"),
        ("task: segmentation\n", "unknown task"),
        ("examples: many\n", "examples is 'many'"),
    ],
)
def test_a_broken_yaml_names_the_file_and_the_mistake(study, text, message):
    with pytest.raises(ValueError, match=message):
        study(text)


def test_a_yaml_for_a_notebook_that_is_not_there_is_an_error(study):
    with pytest.raises(ValueError, match="unknown notebook '02_frozen_encoders'; did you mean '02_frozen_encoder'"):
        study(GOOD, notebook="02_frozen_encoders")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("epoch=2", "SET: unknown parameter 'epoch'; did you mean 'epochs'"),
        ("epochs", "not of the form name=value"),
        ("epochs=two", "epochs is 'two'"),
        ("study=demo", "unknown parameter 'study'"),
    ],
)
def test_a_wrong_override_is_an_error(study, overrides, message):
    with pytest.raises(ValueError, match=message):
        study(GOOD, overrides=overrides)


def test_an_unknown_study_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="unknown study 'dmo'; did you mean 'demo'"):
        params.read("dmo")
