"""`folder`: images and masks of one's own, in any of the common layouts, described by one `classes.yaml`.

The folder is `data_folder` under the data root; `classes.yaml` lies in it or, where data are read-only, in
`params/<data_folder>/`, which wins. See `classes` for what it says and `layouts` for what it need not say.
"""

from functools import cached_property
from pathlib import Path

from seglib import digest, paths, plain_yaml
from seglib.data import classes, fingerprint, layouts
from seglib.data.core import Source, unusable
from seglib.data.files import read_pair
from seglib.names import unknown

YAML = "classes.yaml"


class Folder(Source):
    """Binary (background and one class) or multiclass, with the parts that folders, lists or fractions make."""

    tasks = ("binary", "multiclass")

    def __init__(self, config):
        super().__init__(config)
        self.root = paths.data() / config.data_folder
        if not self.root.is_dir():
            here = [f.name for f in paths.data().iterdir() if f.is_dir()] if paths.data().is_dir() else []
            raise FileNotFoundError(
                f"{unknown('data_folder', config.data_folder, here)} in {paths.data()}; put images and masks "
                "there, or set SEGLIB_DATA to the folder above"
            )
        self.classes = _classes(self.root, config.data_folder)
        if self.task == "binary" and len(self.classes.names) != 2:
            raise ValueError(f"{self.classes.file}: {len(self.classes.names)} names, expected 2 for task binary")
        self.pairs = layouts.parts(self.root, self.classes.layout)

    def class_names(self):
        return self.classes.names[1:] if self.task == "binary" else self.classes.names

    def parts(self):
        return {part: list(pairs) for part, pairs in self.pairs.items()}

    def sample(self, split, name, size):
        image, mask, self.seen[name] = read_pair(*self._pair(name), size, self.classes.table)
        return image, mask

    def fingerprint(self):
        table = [[code, value] for code, value in self.classes.table.items()]
        rows = {
            split: [[name, *(self.digests[file] for file in self._pair(name))] for name in names]
            for split, names in self.members.items()
        }
        return digest.of_value([self.classes.names, table, rows])

    def check_content(self):
        """The same image in two splits is a leak, whatever its names."""
        seen: dict[str, tuple[str, Path]] = {}
        leaks = []
        for split, names in self.members.items():
            for image in (self._pair(name)[0] for name in names):
                other, where = seen.setdefault(self.digests[image], (split, image))
                if other != split:
                    leaks.append(f"{image} ({split}) is the same file as {where} ({other}); exclude one in {YAML}")
        if leaks:
            raise unusable(f"{self.root}: images in more than one split", leaks)

    @cached_property
    def digests(self) -> dict[Path, str]:
        files = (file for names in self.members.values() for name in names for file in self._pair(name))
        return fingerprint.of_files(files, self.root)

    def note(self):
        notes = [self.classes.layout["note"]] if "note" in self.classes.layout else []
        if excluded := self.classes.layout.get("exclude"):
            notes.append(f"without {', '.join(map(str, excluded))}, as classes.yaml says")
        used, there = (sum(map(len, s.values())) for s in (self.members, self.pairs))
        if used < there:
            notes.append(f"subset of {used} of {there} images")
        return "; ".join(notes)

    def _pair(self, name: str) -> tuple[Path, Path]:
        return next(pairs[name] for pairs in self.pairs.values() if name in pairs)


def _classes(root: Path, data_folder: str) -> classes.Classes:
    files = [paths.PARAMS / data_folder / YAML, root / YAML]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise FileNotFoundError(f"neither {files[0]} nor {files[1]} is there; write one with the names of the classes")
    return classes.read(file, plain_yaml.read(file))
