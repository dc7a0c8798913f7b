"""What `Config` accepts and refuses. Alone: pytest tests/test_config.py"""

import dataclasses

import pytest

from seglib.config import Config, from_mapping


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "0.0001", "1.0e-4"])
def test_a_number_that_yaml_1_1_leaves_a_string_becomes_a_float(text):
    assert Config(lr=text).lr == 1e-4


def test_numbers_inside_a_weighted_sum_become_floats_too():
    assert Config(loss={"mse": "1e0", "dice": 60}).loss == {"mse": 1.0, "dice": 60}


def test_an_int_is_accepted_for_a_float_and_stays_no_int():
    assert isinstance(Config(rotation=15).rotation, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 5}, "unknown parameter 'epoch'; did you mean 'epochs'"),
        ({"epochs": "five"}, r"epochs is 'five' \(str\), expected int"),
        ({"epochs": 2.5}, r"epochs is 2.5 \(float\), expected int"),
        ({"epochs": True}, r"epochs is True \(bool\), expected int"),
        ({"horizontal_flip": 1}, r"horizontal_flip is 1 \(int\), expected bool"),
        ({"lr": "fast"}, "lr is 'fast'"),
        ({"lr": None}, r"lr is None \(NoneType\), expected float"),
        ({"lr": 0}, "lr is 0.0, expected a positive number"),
        ({"lr": float("inf")}, "lr is inf, expected a positive number"),
        ({"epochs": 0}, "epochs is 0, expected a number of at least 1"),
        ({"image_size": 16}, "image_size is 16, expected a number of at least 32"),
        ({"task": "binery"}, "unknown task 'binery'; did you mean 'binary'"),
        ({"encoder": "freeze"}, "unknown encoder 'freeze'"),
        ({"encoder": "frozen", "encoder_lr": 1e-5}, "exclude each other"),
        ({"loss": ["bce"]}, "expected str or dict"),
        ({"loss": {1: 2}}, r"loss has the key 1 \(int\), expected names"),
        ({"rotation": float("nan")}, "rotation is nan, expected a number of at least 0"),
        ({"model_options": {"width": object()}}, "model_options: width is <object.*expected a number, a text"),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(values, message):
    with pytest.raises(ValueError, match=message):
        from_mapping(values)


def test_a_copy_changes_only_what_it_is_told():
    config = Config(epochs=3)
    assert dataclasses.asdict(config.with_(seed=1)) == dataclasses.asdict(config) | {"seed": 1}
    with pytest.raises(ValueError, match="unknown parameter 'sede'; did you mean 'seed'"):
        config.with_(sede=1)
