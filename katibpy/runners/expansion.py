"""`$(NAME)` in commands, arguments and environment values, as Kubernetes reads it.

`$(NAME)` stands for a variable that the container declares, `$$` for one dollar sign, so `$$(NAME)` is the
text `$(NAME)`. A reference to what is not declared stays as it is; so does every other use of the sign.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """The text with every reference to one of the variables replaced by its value, once."""
    if "$" not in text:
        return text

    def replaced(match: re.Match[str]) -> str:
        name = match[1]
        return "$" if name is None else variables.get(name, match[0])

    return _REFERENCE.sub(replaced, text)
