"""Loading the pipeline that a file holds."""

from __future__ import annotations

import ast
import sys
import traceback
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from riverrun.errors import ConfigError, RiverrunError
from riverrun.plan.nodes import Output
from riverrun.plan.pipeline import Pipeline
from riverrun.plan.stream import Stream
from riverrun.world import Files

#: No pipeline is longer than this.
LARGEST_BYTES = 4 * 1024 * 1024

_HINT = 'pipeline = rr.Pipeline("name", [stream.write("csv:out.csv")]), or outputs = [stream.write(...)]'


def load(path: str, files: Files) -> Pipeline:
    """The pipeline in a Python or TOML file. Nothing is connected.

    Raises `ConfigError` when there is no such file or no pipeline in it, and what the file itself raises.
    """
    file = Path(path)
    if file.suffix not in (".py", ".toml"):
        raise ConfigError(
            f"a pipeline is in a .py or .toml file, got {file.name!r}",
            where=path,
            hint=f"to look at data: riverrun watch {path}",
        )
    try:
        text = _text(path, files)
    except OSError as error:
        raise ConfigError(f"cannot read the file: {error.strerror}", where=path) from None
    except UnicodeDecodeError:
        raise ConfigError("the file is not UTF-8 text", where=path) from None
    if file.suffix == ".toml":
        from riverrun.cli.toml_pipeline import pipeline_from_toml

        try:
            return pipeline_from_toml(text, name=file.name)
        except RiverrunError as error:
            # Steps name themselves; which file they are in, only we know.
            if not (error.where or "").startswith(file.name):
                error.where = f"{file.name}: {error.where}" if error.where else file.name
            raise
    _refuse_running(text, path)
    return _found(_module(file), path, file.stem)


def _text(path: str, files: Files) -> str:
    opened = files.open_read(path)
    try:
        return opened.read_at(0, LARGEST_BYTES).decode()
    finally:
        opened.close()


def _refuse_running(text: str, path: str) -> None:
    """A file that runs its pipeline when it is loaded would never come back."""
    try:
        tree = ast.parse(text, filename=path)
    except SyntaxError as error:
        raise ConfigError(f"line {error.lineno}: {error.msg}", where=path) from None
    for call in _calls_when_loaded(tree.body):
        function = call.func
        if isinstance(function, ast.Attribute) and function.attr == "run":
            raise ConfigError(
                f"line {call.lineno}: the file runs its pipeline by itself when it is loaded",
                where=path,
                hint=f'python {path} runs it; for riverrun run, put that line under if __name__ == "__main__": '
                "and name a pipeline: " + _HINT,
            )


def _calls_when_loaded(body: list[ast.stmt]) -> Iterator[ast.Call]:
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If)):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Call):
                yield node


def _module(file: Path) -> ModuleType:
    spec = spec_from_file_location(f"riverrun_pipeline_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ConfigError("cannot be loaded as Python", where=str(file))
    module = module_from_spec(spec)
    # Its neighbours can be imported, as with `python file.py`.
    sys.path.insert(0, str(file.resolve().parent))
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except RiverrunError as error:
        at = _at(error, file)
        error.where = f"{at}: {error.where}" if error.where else at
        raise
    except Exception as error:
        raise ConfigError(f"{type(error).__name__}: {error}", where=_at(error, file)) from error
    finally:
        sys.path.remove(str(file.resolve().parent))
    return module


def _at(error: Exception, file: Path) -> str:
    """The line of the user's file that an error comes from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame.lineno for frame in frames if Path(frame.filename).resolve() == file.resolve()]
    return f"{file}, line {own[-1]}" if own else str(file)


def _found(module: ModuleType, path: str, stem: str) -> Pipeline:
    named: Any = getattr(module, "pipeline", None)
    if isinstance(named, Pipeline):
        return named
    outputs: Any = getattr(module, "outputs", named)
    if isinstance(outputs, (Output, Stream)):
        outputs = [outputs]
    if isinstance(outputs, (list, tuple)) and outputs:
        return Pipeline(stem, outputs)
    if named is not None:
        raise ConfigError(
            f"`pipeline` is {type(named).__name__}, and must be an rr.Pipeline", where=path, hint=_HINT
        )
    others = [name for name, value in vars(module).items() if isinstance(value, (Pipeline, Output, Stream))]
    if others:
        raise ConfigError(
            f"nothing is called `pipeline` or `outputs`; there is {', '.join(others[:5])}",
            where=path,
            hint=f"pipeline = rr.Pipeline({stem!r}, [{others[-1]}])",
        )
    raise ConfigError("there is no pipeline in it", where=path, hint=_HINT)
