"""Names inside Markdown: what of a name would be read as markup is escaped, so that it stands as it is."""

import re

MARKUP = re.compile(r"[\\`*<$]|(?<![^\W_])_|_(?![^\W_])")  # an underscore inside a word is no markup


def plain(name: str) -> str:
    """A name as Markdown that shows it unchanged."""
    return MARKUP.sub(r"\\\g<0>", name)


def bold(name: str) -> str:
    """The same in bold."""
    return f"**{plain(name)}**"


def shown(text: str) -> str:
    """What Markdown shows of a sentence with such names in it, its ** left as they are: for what is no Markdown."""
    return re.sub(r"\\([\\`*<$_])", r"\1", text)
