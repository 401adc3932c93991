"""Pipelines in TOML: every window and step, several sources and streams, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from riverrun.cli.toml_pipeline import pipeline_from_toml
from riverrun.cli.toml_steps import STEPS
from riverrun.cli.toml_windows import WINDOWS
from riverrun.errors import RiverrunError
from riverrun.plan.nodes import walk
from riverrun.state.describe import State

SOURCE = """
[source]
url = "rows.csv"
time = "ts"
schema = { ts = "timestamp[s]", key = "text", x = "float", items = "text" }
"""
END = '[[outputs]]\nto = "out.csv"\n'
ONE = 'tumbling = "10s"\n'
WINDOW = SOURCE + '[window]\nby = "key"\n' + ONE + '[aggregates]\nn = "count()"\n' + END

TWO = """
[sources.north]
url = "north.csv"
time = "ts"
schema = { ts = "timestamp[s]", key = "text", x = "float" }
[sources.south]
url = "south.csv"
time = "ts"
schema = { ts = "timestamp[s]", key = "text", x = "float" }
[streams.both]
from = "north"
steps = [{ union = ["south"] }]
window = { by = "key", tumbling = "10s", quality = true }
aggregates = { n = "count()", sum = "sum(x)" }
[streams.joined]
from = "north"
steps = [{ join_asof = { with = "south", by = "key", tolerance = "1m" } }, { drop = "ts_right" }]
[[outputs]]
from = "both"
to = "both.csv"
[[outputs]]
from = "both"
late = true
to = "late.csv"
[[outputs]]
from = "joined"
to = "joined.csv"
"""


def pipeline(text):
    return pipeline_from_toml(text, name="p.toml")


def label(text):
    (output,) = pipeline(text).outputs
    return output.node.label


@pytest.mark.parametrize("kind", WINDOWS)
def test_every_window_may_be_named(kind):
    assert label(WINDOW.replace(ONE, WINDOWS[kind] + "\n"))


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ('cumulating = ["1h", "5m"]\noffset = "1m"\n', "cumulating('1h', '5m', offset='1m')"),
        ('session = "30m"\nmaximum = "2h"\n', "2h"),
        ("counting = 100\nevery = 10\n", "10"),
        ('rolling = "5m"\n', "5m"),
        ('tumbling = "10s"\nlateness = "1m"\nemit = "1s"\nquality = true\n', "10s"),
    ],
)
def test_windows_take_their_settings(window, words):
    assert words in label(WINDOW.replace(ONE, window))


@pytest.mark.parametrize("step", sorted(set(STEPS) - {"union", "join_asof", "join_interval", "join_window"}))
def test_every_step_is_written_as_its_example(step, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"sku": ["a"], "name": ["lamp"]}).write_csv("products.csv")
    columns = ["price", "size", "old", "symbol", "sku", "id", "note", "items", "x", "key"]
    kinds = {"symbol": "text", "sku": "text", "id": "text", "key": "text", "note": "text", "items": "text"}
    schema = ", ".join(f'{name} = "{kinds.get(name, "float")}"' for name in columns)
    text = f"""
[source]
url = "rows.csv"
time = "ts"
schema = {{ ts = "timestamp[s]", {schema} }}
[[steps]]
{STEPS[step][1]}
{END}"""
    if step == "explode":
        with pytest.raises(
            RiverrunError, match=r"p.toml \[\[steps\]\] 1: explode: 'items' is String, and only lists"
        ):
            pipeline(text)
        return
    assert pipeline(text).outputs


@pytest.mark.parametrize("step", ["union", "join_asof", "join_interval", "join_window"])
def test_every_step_over_two_streams_is_written_as_its_example(step):
    source = 'url = "x.csv"\ntime = "ts"\nschema = { ts = "timestamp[s]", symbol = "text", '
    source += 'order = "int", id = "int" }\n'
    others = "".join(
        f"[sources.{name}]\n{source}" for name in ("main", "quotes", "paid", "offers", "north", "south")
    )
    made = pipeline(f'{others}[streams.all]\nfrom = "main"\nsteps = [{{ {STEPS[step][1]} }}]\n')
    (output,) = made.outputs
    assert len({node for node in walk(output.node) if not hasattr(node, "parents")}) == (
        3 if step == "union" else 2
    )


def test_several_sources_and_streams(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("north.csv").write_text("ts,key,x\n1,a,1\n3,a,2\n20,a,5\n2,a,9\n")
    Path("south.csv").write_text("ts,key,x\n2,a,10\n12,a,20\n")
    pipeline(TWO).run()
    both = pl.read_csv("both.csv").select("key", "n", "sum", "rows").rows()
    assert both == [("a", 3, 13.0, 3), ("a", 1, 20.0, 1), ("a", 1, 5.0, 1)]
    assert pl.read_csv("late.csv")["x"].to_list() == [9.0]
    joined = pl.read_csv("joined.csv").select("x", "x_right").rows()
    assert joined == [(1.0, None), (2.0, 10.0), (5.0, 20.0)]


def test_a_state_may_be_declared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("ts,key,x,items\n1,a,1,\n")
    made = pipeline(WINDOW + '[state]\npath = "kept"\nevery = "5s"\n')
    assert made.state == State("kept", "5s")
    made.run()
    assert Path("kept").is_dir()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TWO.replace('from = "north"\nsteps = [{ union', 'from = "nort"\nsteps = [{ union'),
         "p.toml [streams.both] from: there is no stream 'nort' above\n  try: did you mean 'north'?"),
        (TWO.replace('["south"]', '["sout"]'),
         "p.toml [streams.both] [[steps]] 1 union: there is no stream 'sout' above\n  try: did"),
        (TWO.replace("with = ", "wiht = "),
         "p.toml [streams.joined] [[steps]] 1 join_asof: 'with' is missing: the name of the other stream"),
        (TWO.replace("tolerance = ", "tolerence = "),
         "p.toml [streams.joined] [[steps]] 1 join_asof: there is no key 'tolerence'\n  try: did you mean"),
        (TWO.replace('by = "key", tol', 'by = "kee", tol'),
         "p.toml [streams.joined] [[steps]] 1: join_asof: there is no column 'kee'"),
        (TWO.replace('[[outputs]]\nfrom = "joined"', "[[outputs]]"),
         'p.toml [[outputs]] 3: which stream is written is missing\n  try: from = "NAME"'),
        (TWO + SOURCE, "p.toml: there is [source] and [sources]; one will do"),
        (TWO.replace("[streams.joined]", "[streams.south]"),
         "p.toml [streams.south]: there is a source 'south' already\n  try: another name"),
        (TWO + '[[steps]]\ndrop = "x"\n', "p.toml: with several sources, steps and windows belong to a stream"),
        (SOURCE + "[[steps]]\nmap_frames = 3\n",
         "p.toml [[steps]] 1: map_frames takes a function of Python, which TOML has none of"),
        (SOURCE + '[[steps]]\nunique = { keys = "key" }\n', "p.toml [[steps]] 1: unique: needs within="),
        (SOURCE + '[[steps]]\nunique = { keys = "key", withn = "1s" }\n',
         "p.toml [[steps]] 1 unique: there is no key 'withn'\n  try: did you mean 'within'?"),
        (SOURCE + '[[steps]]\nunique = { keys = "key", within = 5 }\n',
         "p.toml [[steps]] 1: unique(within=): not a duration: 5"),
        (SOURCE + '[[steps]]\ninterpolate = { columns = "x" }\n',
         "p.toml [[steps]] 1 interpolate: 'within' is missing"),
        (SOURCE + '[[steps]]\ncast = { x = "flaot" }\n', "there is no type 'flaot'\n  try: did"),
        (WINDOW.replace(ONE, 'tumbling = "10s"\nmaximum = "1m"\n'),
         "p.toml [window]: 'maximum' goes with session only"),
        (WINDOW.replace(ONE, "running = false\n"), "p.toml [window]: running is true or left out, got False"),
        (WINDOW.replace(ONE, 'rolling = "5m"\nlateness = "1m"\n'), "[window]: there is no key 'lateness'"),
        (WINDOW.replace(ONE, ONE + 'quality = "yes"\n'),
         "p.toml [window]: quality is true or false, got 'yes'"),
        (WINDOW.replace(ONE, 'counting = "many"\n'), "p.toml [window]: "),
        (WINDOW + '[state]\npaht = "s"\n', "p.toml [state]: there is no key 'paht'\n  try: did"),
        (WINDOW + '[state]\nevery = "1s"\n', "p.toml [state]: 'path' is missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(text, message):
    with pytest.raises(RiverrunError) as caught:
        pipeline(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("p.toml")
