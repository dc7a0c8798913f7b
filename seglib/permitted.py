"""What may be executed, and what a study may be called: its name is that of a folder, in a shell and on pages."""

import unicodedata
from pathlib import Path

from seglib import paths

RESERVED = ("all", "bench", "compare", "runs", "tensorboard")  # every study, and what else lies in outputs/


def check_study(name: str) -> None:
    """Raises ValueError for a study whose name cannot be that of its report's folder."""
    plain = all(sign in "_-. " or unicodedata.category(sign)[0] in "LMN" for sign in name)
    if not name or not plain or name[0] in "-. " or name[-1] in ". ":
        raise ValueError(
            f"the study's name is {name!r}, expected letters, digits and _ - . or blanks between; rename its folder"
        )
    if name.casefold() in RESERVED:
        raise ValueError(f"a study cannot be called '{name}': {', '.join(RESERVED)} mean something else; rename it")


def check_notebook(source: Path, study: str | None = None) -> None:
    """Raises ValueError for a notebook that is not the repository's own.

    Args: study — the name of its report's folder, if it is told one.
    """
    if source.resolve().parent != paths.NOTEBOOKS.resolve() or source.suffix != ".ipynb":
        raise ValueError(f"{source} is none of the notebooks in {paths.NOTEBOOKS}; no other is executed")
    if study is not None:
        check_study(study.partition("@")[0])


def literal(path: Path) -> Path:
    """A path as papermill takes it, which fills parameters into what stands between braces."""
    return Path(str(path).replace("{", "{{").replace("}", "}}"))
