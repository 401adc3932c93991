"""Docstrings and signatures as Markdown, the same text in every Python version."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any


class UndocumentedError(Exception):
    """The code cannot be documented as it is: a public name without a docstring, a class that is not there."""


# --- text ----------------------------------------------------------------------------------------


def markdown(docstring: str) -> str:
    """A docstring as Markdown: parameter lists become bullets, examples become code blocks.

    >>> markdown("Parameters\\n----------\\nx : a column,\\n    numeric.")
    '**Parameters**\\n\\n- `x`: a column, numeric.'
    """
    lines = inspect.cleandoc(docstring).replace("``", "`").splitlines()
    return "\n".join(_blocks(lines)).strip()


def _blocks(lines: list[str]) -> Iterator[str]:
    at = 0
    while at < len(lines):
        if at + 1 < len(lines) and lines[at].strip() and re.fullmatch(r"-{3,}", lines[at + 1].strip()):
            yield from (f"**{lines[at].strip()}**", "")
            at += 2
            end = _paragraph_end(lines, at)
            yield from (*_bullets(lines[at:end]), "")
            at = end
        elif lines[at].lstrip().startswith(">>>"):
            end = _paragraph_end(lines, at)
            yield from ("```pycon", *(line.strip() for line in lines[at:end]), "```")
            at = end
        else:
            yield lines[at]
            at += 1


def _paragraph_end(lines: list[str], at: int) -> int:
    while at < len(lines) and lines[at].strip():
        at += 1
    return at


def _bullets(lines: Iterable[str]) -> Iterator[str]:
    item = ""
    for line in lines:
        head = re.match(r"([*\w][\w, *.]*?) : (.*)", line)
        if head:
            if item:
                yield item
            names = ", ".join(f"`{name.strip()}`" for name in head[1].split(","))
            item = f"- {names}: {head[2]}"
        else:
            item = f"{item} {line.strip()}" if item else line
    if item:
        yield item


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def docstring_of(thing: object, name: str) -> str:
    """The thing's own docstring; an inherited or a generated one does not count."""
    text = inspect.getdoc(thing) if not isinstance(thing, type) else thing.__dict__.get("__doc__")
    if not text or (dataclasses.is_dataclass(thing) and text.startswith(f"{getattr(thing, '__name__', '')}(")):
        raise UndocumentedError(f"{name} is public and has no docstring")
    return str(text)


# --- signatures ----------------------------------------------------------------------------------


_MARKS = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}


def signature(thing: Callable[..., Any], name: str) -> str:
    """How a function or class is called, the same text in every Python version."""
    try:
        parameters = list(inspect.signature(thing).parameters.values())
        returns = inspect.signature(thing).return_annotation
    except (TypeError, ValueError):
        return f"{name}(...)"
    shown, star = [], False
    for parameter in parameters:
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            shown.append("*")
            star = True
        star = star or parameter.kind is parameter.VAR_POSITIONAL
        shown.append(_parameter(parameter))
    arrow = "" if isinstance(thing, type) or returns is inspect.Signature.empty else f" -> {_type(returns)}"
    whole = f"{name}({', '.join(shown)}){arrow}"
    if len(whole) <= 96:
        return whole
    return f"{name}(\n" + "".join(f"    {item},\n" for item in shown) + f"){arrow}"


def _parameter(parameter: inspect.Parameter) -> str:
    text = _MARKS.get(parameter.kind.name, "") + parameter.name
    if parameter.annotation is not inspect.Parameter.empty:
        text += f": {_type(parameter.annotation)}"
    if parameter.default is not inspect.Parameter.empty:
        text += f" = {value_text(parameter.default)}"
    return text


def _type(annotation: object) -> str:
    if isinstance(annotation, str):
        return annotation.strip("'\"")
    return str(annotation.__name__ if isinstance(annotation, type) else annotation).replace("typing.", "")


def value_text(value: object) -> str:
    """A default as it is written, without addresses in memory."""
    if isinstance(value, type) or inspect.isroutine(value):
        return value.__name__
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def slug(name: str) -> str:
    """A name as an anchor."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
