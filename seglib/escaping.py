"""Names as they are shown: in Markdown, what would be read as markup is escaped; above a picture, they are short."""

import re

LETTERS = 24  # of a name above a picture
MARKUP = re.compile(r"[\\`*<$]|(?<![^\W_])_|_(?![^\W_])")  # an underscore inside a word is no markup


def plain(name: str) -> str:
    """A name as Markdown that shows it unchanged."""
    return MARKUP.sub(r"\\\g<0>", name)


def bold(name: str) -> str:
    """The same in bold."""
    return f"**{plain(name)}**"


def short(name: str) -> str:
    """A name on one line of at most LETTERS characters, for a picture's title; signs that are none are blanks."""
    line = "".join(sign if sign.isprintable() else " " for sign in name)
    return line if len(line) <= LETTERS else f"{line[: LETTERS // 2]}…{line[1 - LETTERS // 2 :]}"


def shown(text: str) -> str:
    """What Markdown shows of a sentence with such names in it, its ** left as they are: for what is no Markdown."""
    return re.sub(r"\\([\\`*<$_])", r"\1", text)
