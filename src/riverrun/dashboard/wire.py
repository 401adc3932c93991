"""What goes over the wire, as bytes: compact columns of numbers in JSON.

Instants are microseconds, as offsets from the first one of a column. What is not finite becomes ``null``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from riverrun.dashboard.history import Change, History
from riverrun.dashboard.series import Times, Values
from riverrun.errors import without_credentials
from riverrun.runtime.health import Health, SourceHealth, StateHealth


def dumps(value: Any) -> bytes:
    """JSON; NumPy arrays welcome."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def event(name: str, data: bytes, identity: str) -> bytes:
    """One server-sent event.

    >>> event("delta", b"{}", "e:7")
    b'id: e:7\\nevent: delta\\ndata: {}\\n\\n'
    """
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (identity.encode(), name.encode(), data)


def delta(changes: Sequence[Change], now_us: int) -> bytes:
    """Upserts: place of the key, instant, and each statistic, as columns."""
    return dumps({"now": now_us, "views": [_change(change) for change in changes]})


def _change(change: Change) -> dict[str, Any]:
    out = {
        "id": change.view,
        "from": change.first_key,
        "keys": change.new_keys,
        "hidden": change.hidden_keys,
        "k": np.ascontiguousarray(change.keys),
    }
    return {**out, **_points(change.times, change.values)}


def _points(times: Times, values: Values) -> dict[str, Any]:
    first = int(times[0]) if len(times) else 0
    columns: list[NDArray[np.float64]] = [np.ascontiguousarray(values[:, i]) for i in range(values.shape[1])]
    *statistics, revision, final = columns
    out: dict[str, Any] = {"t0": first, "t": times - first, "v": statistics}
    if revision.any():
        out["rev"] = revision.astype(np.int32)
    if not final.all():
        out["fin"] = final.astype(np.int8)
    return out


def snapshot(epoch: str, sequence: int, now_us: int, histories: Sequence[History]) -> bytes:
    """Everything that a new viewer needs, as it is at `sequence`."""
    # View by view and not in one call, so that other threads get a turn in between.
    parts = [dumps(_whole(history)) for history in histories]
    head = dumps({"epoch": epoch, "seq": sequence, "now": now_us})
    return head[:-1] + b',"views":[' + b",".join(parts) + b"]}"


def _whole(history: History) -> dict[str, Any]:
    return {
        "id": history.view.id,
        "keys": history.keys,
        "hidden": history.hidden_keys,
        "series": [_points(series.times, series.values) for series in history.series],
    }


def health(state: Health, dashboard: Mapping[str, Any]) -> bytes:
    """The pipeline's health, with what the dashboard knows about itself."""
    out = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    out["sources"] = [_source(source) for source in state.sources]
    out["state"] = None if state.state is None else _kept(state.state)
    out["warnings"] = [without_credentials(text) for text in state.warnings]
    out["dashboard"] = dict(dashboard)
    return dumps(out)


def _source(source: SourceHealth) -> dict[str, Any]:
    out = {field.name: getattr(source, field.name) for field in dataclasses.fields(source)}
    out["url"] = without_credentials(source.url)
    out["reasons"] = dict(source.reasons)
    out["counters"] = dict(source.counters)
    out["conserved"] = source.conserved
    return out


def _kept(state: StateHealth) -> dict[str, Any]:
    out = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    out["troubles"] = {without_credentials(url): reason for url, reason in state.troubles.items()}
    out["warnings"] = [without_credentials(text) for text in state.warnings]
    return out
