"""Malformed and hostile YAML: each document loads to the stated value or is an error with the file and the line.

Alone: pytest tests/test_yaml_faults.py
"""

import math

import pytest

from seglib import params, paths, plain_yaml

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
READ = {  # text → value
    "": {}, "# a comment alone\n": {}, "---\n...\n": {}, "a:\n": {"a": None}, "a: ~": {"a": None},
    "a: yes": {"a": "yes"}, "a: NO": {"a": "NO"}, "a: on": {"a": "on"}, "a: y": {"a": "y"},  # booleans in 1.1
    "a: 010": {"a": 10}, "a: 0o10": {"a": 8}, "a: 0x1F": {"a": 31}, "a: 1:30": {"a": "1:30"},
    "a: 1e-4": {"a": 1e-4}, "a: 1.": {"a": 1.0}, "a: .5": {"a": 0.5}, "a: +3": {"a": 3}, "a: -0": {"a": 0},
    "a: .inf": {"a": math.inf}, "a: 1_0x": {"a": "1_0x"}, "a: 1e400": {"a": math.inf},
    "a: '2020-01-01'": {"a": "2020-01-01"}, "a: !!str 5": {"a": "5"}, "a: &x 1\nb: *x": {"a": 1, "b": 1},
    "a: &x {c: 1, d: 2}\nb: {<<: *x, c: 3}": {"a": {"c": 1, "d": 2}, "b": {"c": 3, "d": 2}},
    "\ufeffa: 1": {"a": 1}, "a: 1\r\nb: 2\r\n": {"a": 1, "b": 2}, "{a: 1}": {"a": 1},
    '{"a": [1, null]}': {"a": [1, None]},
    "%YAML 1.2\n---\na: yes": {"a": "yes"}, "a: |\n  %YAML 1.1\n": {"a": "%YAML 1.1\n"}, "é: \u05d0": {"é": "\u05d0"},
    "a: <script>": {"a": "<script>"}, 'a: "\\u0000"': {"a": "\0"}, "a: '{{ b }}'": {"a": "{{ b }}"},
}  # fmt: skip
REFUSED = [  # text, what the error says beside the file
    ("\ta: 1", "line 1.*cannot start any token"),
    ("a:\n\tb: 1", "line 2.*cannot start any token"),
    ("a: 1\n  b: 2", "line 2"),
    ("a: [1, 2", "line 1"),
    ("a: 'open", "line 1.*end of stream"),
    ("a: *b", "line 1.*undefined alias"),
    ("a: 1\nb: 2\na: 3", 'line 3.*duplicate key "a"'),
    ("a: 1\n'a': 3", "duplicate key"),
    ("b: {c: 1, c: 2}", "duplicate key"),
    ("%YAML 1.1\n---\na: yes", "%YAML 1.1, expected YAML 1.2"),
    ("%TAG ! tag:x,2020:\n---\na: !b 1", "line 3"),
    ("a: 1\n---\nb: 2", "line 2.*expected a single document"),
    ("a: 1\nb: 1_000", "line 2: '1_000' would be read as int"),
    ("a: 0b11", "line 1: '0b11'"),
    ("a: -_", "line 1: '-_'"),
    ("a: ._", "line 1: '._'"),
    ("a: 2020-01-01", "line 1: '2020-01-01' would be read as timestamp"),
    ("a: 2020-13-45", "line 1: '2020-13-45'"),
    ("b: &x 1\na:\n  <<: *x", "expected a mapping"),
    ("b: &x {<<: *x}", "line 1: &x holds itself"),
    ("a: <<", "line 1: '<<' would be read as merge"),
    ("a: =", "line 1: '='"),
    ("a: 99999999999999999999", "line 1: 99999999999999999999 is too large"),
    (f"a: {'9' * 5000}", "line 1: 9{40}… is too large"),
    ("a: 0xffffffffffffffff", "too large"),
    ("a: !!python/object/apply:os.system [id]", "line 1: .*python/object/apply:os.system is not plain data"),
    ("a: !!python/name:os.system ''", "line 1"),
    ("a: !own {b: 1}", "line 1: !own is not plain data"),
    ("a: !own 1", "line 1"),
    ("a: !!binary aGk=", "line 1: 'aGk=' would be read as binary"),
    ("a: !!set {b}", "line 1: .*set is not plain data"),
    ("a: !!omap [b: 1]", "line 1: .*omap is not plain data"),
    ("a: !!int b", "line 1: 'b' would be read as int"),
    ("a: !!bool maybe", "line 1: 'maybe'"),
    ("a: !!null b", "line 1: 'b'"),
    ("a: !!timestamp b", "line 1: 'b'"),
    ("a: &x [*x]", "line 1: &x holds itself"),
    ("a: &x {b: {c: *x}}", "line 1: &x holds itself"),
    (LAUGHS, "line 5: more than 100,000 values once aliases are written out"),
    ("a: " + "[" * 3000, "too many lists or mappings in each other"),
    ("a: " + "{b: " * 1000 + "1" + "}" * 1000, "too many lists or mappings in each other"),
    ("a: \x00", "#x0000"),
    ("a: \x07", "#x0007"),
    ('a: "\\ud800"', "line 1: .* holds half a character"),
    ("- a", "holds a list, expected `name: value` lines"),
    ("just text", "holds a str, expected"),
    ("5", "holds a int, expected"),
    ("1: a", "1 .int. stands for a name"),
    ("null: a", "None .NoneType. stands for a name"),
    ("true: a", "True .bool. stands for a name"),
    ("[a]: 1", "line 1: a list or a mapping stands for a name"),
    ("? {a: b}\n: 1", "line 1: a list or a mapping stands for a name"),
    (b"a: \xff\xfe", "is not UTF-8 text"),
    ("a: 1".encode("utf-16"), "is not UTF-8 text"),
]  # fmt: skip


@pytest.fixture
def file(tmp_path):
    def write(content):
        (tmp_path / "own.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / "own.yaml"

    return write


@pytest.mark.parametrize("text", READ)
def test_a_document_loads_to_what_it_says(file, text):
    assert plain_yaml.read(file(text)) == READ[text]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=range(len(REFUSED)))
def test_a_bad_document_is_an_error_with_file_and_line(file, text, message):
    with pytest.raises(ValueError, match=rf"own\.yaml(,|:| ).*({message})") as caught:
        plain_yaml.read(file(text))
    assert type(caught.value) is ValueError and len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr: .nan", "lr is nan"),
        ("lr: .inf", "lr is inf"),
        ("rotation: .nan", "rotation is nan"),
        ("noise: .inf", "noise is inf"),
        ("lr: 1e400", "lr is inf"),
        ("loss: {mse: .nan}", "loss: mse is nan"),
        ("loss: {1: 2}", "loss has the key 1"),
        ("epochs: true", "epochs is True .bool., expected int"),
        ("epochs: 2.5", "epochs is 2.5 .float., expected int"),
        ("epochs: 0", "epochs is 0, expected a number of at least 1"),
        ("horizontal_flip: yes", "horizontal_flip is 'yes' .str., expected bool"),
        ("horizontal_flip: 1", "horizontal_flip is 1 .int., expected bool"),
        ("epochs: 1:30", "epochs is '1:30' .str., expected int"),
        ("seeds: [0, null]", r"seeds\[1\] is None"),
        ("seeds: {0: 1}", "seeds is {0: 1}, expected a list"),
        ("model: null", "model is None"),
        ("epochs:", "epochs is None"),
        ("dataset: [lesions]", "dataset is"),
        ("study: other", "unknown parameter 'study'"),
        ("seed: 1e3", "seed"),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_no_other_value(tmp_path, monkeypatch, text, message):
    monkeypatch.setattr(paths, "PARAMS", tmp_path / "params")
    folder = tmp_path / "params" / "mine"
    folder.mkdir(parents=True)
    (folder / "02_frozen_encoder.yaml").write_text(
        f"dataset: lesions\n{text}\n".replace("dataset: lesions\ndata", "data")
    )
    with pytest.raises(ValueError, match=rf"02_frozen_encoder\.yaml.*{message}"):
        params.read("mine")


def test_an_override_is_read_by_the_same_rules_and_keeps_its_blanks():
    assert params.parse_overrides('epochs=2  data_folder="a  b" seeds=[0,\n 1]') == {
        "epochs": 2, "data_folder": "a  b", "seeds": [0, 1],
    }  # fmt: skip
    for text, message in {
        "epochs=1_0": "SET: epochs, line 1",
        "a=!!set {b}": "SET: a",
        "=2": "not of the form",
    }.items():
        with pytest.raises(ValueError, match=message):
            params.parse_overrides(text)


def test_a_long_document_of_plain_values_is_read():
    text = "".join(f"k{i}: [{i}, *shared]\n" if i else "k0: &shared [1, 2]\n" for i in range(500))
    assert plain_yaml.load(text, "here")["k499"] == [499, [1, 2]]
