"""`riverrun run` and `riverrun check`: pipelines from Python and TOML files, and what is said else."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.cli.calling import Call

ROWS = "ts,symbol,price,size\n" + "".join(
    f"{1_767_623_400_000 + n * 100},{'AB'[n % 2]},{100 + n % 7},{n % 5}\n" for n in range(1_000)
)

PYTHON = """
import polars as pl
import riverrun as rr

rows = rr.read("{folder}/rows.csv", schema={{"ts": pl.Datetime("ms"), "symbol": pl.String,
               "price": pl.Float64, "size": pl.Int64}}, time="ts")
stats = rows.group_by("symbol").window(rr.tumbling("10s")).agg(n=rr.count())
"""

TOML = """
name = "from toml"
[source]
url = "{folder}/rows.csv"
time = "ts"
schema = {{ ts = "timestamp[ms]", symbol = "text", price = "float", size = "float" }}
[[steps]]
filter = "price > 100 and symbol in ['A', 'B']"
[[steps]]
with_columns = {{ notional = "price * size" }}
[window]
by = ["symbol"]
tumbling = "10s"
[aggregates]
n = "count()"
mean = "mean(price)"
p99 = "quantile(notional, 0.99)"
[[outputs]]
to = "{folder}/out.csv"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text(ROWS)
    return tmp_path


def written(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text.format(folder=folder))
    return str(path)


def results(folder: Path) -> list[dict[str, str]]:
    with (folder / "out.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_python_pipeline(call: Call, folder: Path) -> None:
    code = PYTHON + 'pipeline = rr.Pipeline("mine", [stats.write("{folder}/out.csv")])\n'
    done = call("run", written(folder, "pipeline.py", code))

    assert done.code == 0
    assert "mine: 1,000 rows in, 20 results out" in done.err
    assert sum(int(row["n"]) for row in results(folder)) == 1_000


def test_a_list_of_outputs_will_do(call: Call, folder: Path) -> None:
    code = PYTHON + 'outputs = [stats.write("{folder}/out.csv")]\n'
    assert "steps: 1,000 rows in" in call("run", written(folder, "steps.py", code)).err


def test_a_toml_pipeline(call: Call, folder: Path) -> None:
    done = call("run", written(folder, "pipeline.toml", TOML))

    assert done.code == 0
    assert "from toml: 1,000 rows in, 20 results out" in done.err
    kept = sum(1 for n in range(1_000) if n % 7 > 0)
    assert sum(int(row["n"]) for row in results(folder)) == kept


def test_what_a_toml_pipeline_may_hold_is_shown(call: Call) -> None:
    assert "[[steps]]" in call("run", "--help-toml").out


def test_check_explains_and_touches_nothing(call: Call, folder: Path) -> None:
    (folder / "rows.csv").unlink()
    done = call("check", written(folder, "pipeline.toml", TOML))

    assert done.code == 0
    assert "ok: from toml, 1 output" in done.out
    assert "filter" in done.out
    assert not (folder / "out.csv").exists()


def test_check_says_what_it_could_not_check(call: Call, folder: Path) -> None:
    text = '[source]\nurl = "tcp://localhost:9"\n[[outputs]]\nto = "stdout:"\n'
    done = call("check", written(folder, "open.toml", text))
    assert done.code == 0
    assert "not checked: columns of tcp://localhost:9" in done.out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("price > 100", "prize > 100"), "[[steps]] 1: filter: there is no column 'prize'\n  try: did"),
        (("price > 100", "price >"), "pipeline.toml [[steps]] 1: not a formula: "),
        (("price > 100", "open('x')"), "there is no function 'open'"),
        (("price > 100", "price.exp()"), "cannot take 'price.exp()'"),
        (("mean(price)", "meen(price)"), "there is no aggregate 'meen'\n  try: did you mean 'mean'?"),
        (("mean(price)", "mean()"), "[aggregates] mean: mean: missing a required argument: 'x'"),
        (("mean(price)", "price"), "not an aggregate: 'price'"),
        (("tumbling =", "tumbler ="), "[window]: there is no key 'tumbler'\n  try: did you mean 'tumbling'?"),
        (('tumbling = "10s"', 'hopping = "10s"'), "hopping takes a length and a distance, got '10s'"),
        (("[window]\n", '[window]\nsession = "1m"\n'), "counting, rolling, running; here are 2"),
        (("with_columns", "with_column"), "there is no step 'with_column'\n  try: did you mean"),
        (('time = "ts"', 'tiem = "ts"'), "[source]: there is no key 'tiem'\n  try: did you mean 'time'?"),
        (('"timestamp[ms]"', '"timestamp[m]"'), "a timestamp is in one of s, ms, us, ns, got 'm'"),
        (("to = ", "too = "), "[[outputs]] 1: where to write is missing"),
        (('name = "from toml"', "name = "), "pipeline.toml: not TOML: "),
    ],
)  # fmt: skip
def test_what_is_wrong_in_toml_is_told(call: Call, folder: Path, change: tuple[str, str], message: str) -> None:
    path = written(folder, "pipeline.toml", TOML.replace(*change))

    done = call("check", path)
    assert (done.code, message in done.err) == (1, True), done.err
    assert call("run", path).code == 2


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1\n", "there is no pipeline in it\n  try: pipeline = rr.Pipeline("),
        ("pipeline = 3\n", "`pipeline` is int, and must be an rr.Pipeline"),
        (PYTHON, "`outputs`; there is rows, stats\n  try: pipeline = rr.Pipeline('mine', [stats])"),
        (PYTHON + "rr.run(stats)\n", "line 8: the file runs its pipeline by itself when it is loaded"),
        ("x = (\n", "line 1: '(' was never closed"),
        ("import nosuchthing\n", "line 1: ModuleNotFoundError: No module named 'nosuchthing'"),
        (PYTHON + "pipeline = stats.filter(pl.col('m') > 1)\n", "line 8: filter: there is no column 'm'"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_python_is_told(call: Call, folder: Path, code: str, message: str) -> None:
    done = call("check", written(folder, "mine.py", code))
    assert (done.code, message in done.err) == (1, True), done.err


def test_files_that_are_no_pipelines(call: Call, folder: Path) -> None:
    assert "try: to look at data: riverrun watch" in call("run", str(folder / "rows.csv")).err
    assert "cannot read the file: No such file or directory" in call("run", "nowhere.py").err
    assert "which file?" in call("run").err
