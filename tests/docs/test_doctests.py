"""Every example in a docstring runs, in the product's own modules and in the helpers of the tests."""

from __future__ import annotations

import doctest
import importlib
import io
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from tests.source_tree import SOURCE, source_files


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = [module_name(path) for path in source_files() if path.name != "__main__.py"]


@pytest.mark.parametrize("name", [*MODULES, "tests.docs.run_page", "tests.docs.feeds"])
def test_examples_in_docstrings_run(name, tmp_path, monkeypatch):
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    report = io.StringIO()
    with redirect_stdout(report):
        failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert failed == 0, "\n" + report.getvalue()
