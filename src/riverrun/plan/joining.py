"""The fluent front of steps that bring rows together: unions, joins and lookups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from riverrun.clock import Duration, parse_duration, parse_offset
from riverrun.errors import PlanError, did_you_mean
from riverrun.plan.chained import Chained
from riverrun.plan.joins import AsofJoin, Closed, Direction, How, IntervalJoin, Span, WindowJoin
from riverrun.plan.lookup import AskTable, KeyedLookup, Lookup, LookupHow, OnFailure
from riverrun.plan.nodes import Node
from riverrun.plan.union import Union
from riverrun.registry import function
from riverrun.windows.describe import Window

if TYPE_CHECKING:
    from riverrun.plan.stream import Stream

Keys = str | Sequence[str] | None


class Joining(Chained):
    """Methods of `Stream` that take other streams or tables."""

    __slots__ = ()

    def union(self, *others: Stream) -> Stream:
        """The rows of this stream and of others as one stream, as they come.

        All need the same columns and the same event-time column. Every row stays late or in time by the
        watermark of its own partition, and the watermark of the union is that of the slowest stream.
        Memory: none. Rows of different streams come out in the order in which they arrived, which may
        differ from run to run; results of windows and joins behind do not depend on it.

        Parameters
        ----------
        others : streams with the same columns, in any order.

        Raises
        ------
        SchemaError : when columns or types differ.
        PlanError : when event times differ, or rows may be revised.

        >>> import riverrun as rr
        >>> rr.read({"x": [1, 2]}).union(rr.read({"x": [3]})).select("x").collect()["x"].sort().to_list()
        [1, 2, 3]
        """
        return self._with(Union((self.node, *(_node(other, "union") for other in others))))

    def join_asof(
        self,
        other: Stream,
        *,
        by: Keys = None,
        tolerance: Duration | None = None,
        direction: Direction = "backward",
        allow_exact_matches: bool = True,
    ) -> Stream:
        """For each row of this stream the row of the other that is nearest in event time.

        Every row comes out once, in order of event time, with the columns of its match, or nulls: as soon
        as the watermarks of both sides say that nothing can change the answer. Of several right rows with
        the same time, the last counts backward and the first forward; of two at the same distance, nearest
        takes the earlier one. Memory: left rows that wait; right rows within `tolerance` and the delays of
        the watermarks; without `tolerance`, one right row for each of the first `Limits.max_keys` keys
        beside those.

        Parameters
        ----------
        other : the right side.
        by : columns that must be equal, of the same name on both sides; null equals nothing.
        tolerance : how far away a match may be; any distance when left out.
        direction : ``"backward"``: the last right row at or before the left one; ``"forward"``: the first at
            or after it; ``"nearest"``: the closer one. The last two wait for the right side to be
            `tolerance` further, so they need it.
        allow_exact_matches : whether a right row of the same time is a match.

        Returns
        -------
        The columns of this stream, then those of the other without `by`; of a name that both have, the right
        one gets the suffix ``_right``. The event time is that of this stream. `late` has the left rows that
        were behind the watermark of their partition. A right row that was behind counts for all left rows
        that may still come, and is counted as late if there can be none.

        Raises
        ------
        PlanError : for keys that are missing or of different types, revised inputs, no tolerance where one
            is needed.

        >>> import riverrun as rr
        >>> from datetime import datetime as at
        >>> quotes = rr.read({"ts": [at(2026, 1, 1, 9), at(2026, 1, 1, 11)], "bid": [1.0, 2.0]}, time="ts")
        >>> trades = rr.read({"ts": [at(2026, 1, 1, 10), at(2026, 1, 1, 12)], "size": [5, 7]}, time="ts")
        >>> trades.join_asof(quotes).select("size", "bid").collect().rows()
        [(5, 1.0), (7, 2.0)]
        """
        _one_of(direction, ("backward", "forward", "nearest"), "join_asof(direction=)")
        tolerance_us = None if tolerance is None else parse_duration(tolerance, where="join_asof(tolerance=)")
        if tolerance_us is None and direction != "backward":
            raise PlanError(
                f"looking {direction} without a tolerance would wait for ever for keys that never come again",
                where="join_asof",
                hint='tolerance="10s": how far away a match may be',
            )
        if tolerance_us == 0 and not allow_exact_matches:
            raise PlanError(
                "nothing is within no time and not at the same time",
                where="join_asof",
                hint='tolerance="10s", or leave out allow_exact_matches=False',
            )
        keys = _names(by, "join_asof(by=)")
        parents = (self.node, _node(other, "join_asof"))
        return self._with(AsofJoin(parents, keys, tolerance_us, direction, allow_exact_matches))

    def join_interval(
        self,
        other: Stream,
        *,
        on: Keys = None,
        lower: Duration,
        upper: Duration,
        closed: Closed = "both",
        how: How = "inner",
    ) -> Stream:
        """Every pair of a row of this stream and one of the other whose times are between two bounds apart.

        A pair matches when ``lower <= right time - left time <= upper``. Pairs come out when no further match
        of their left row can come, in the order of left time, then right time. Memory: the rows of both
        sides within the bounds and the delays of the watermarks.

        Parameters
        ----------
        other : the right side.
        on : columns that must be equal, of the same name on both sides; null equals nothing. Without any,
            all rows within the bounds are paired.
        lower, upper : the bounds, such as ``"-5s"`` and ``"1m"``.
        closed : which of the bounds belong to it.
        how : ``"left"`` also keeps left rows without a match, with nulls.

        Returns
        -------
        The columns of this stream, then those of the other without `on`; of a name that both have, the right
        one gets the suffix ``_right``. The event time is that of this stream. `late` has the left rows that
        were behind the watermark of their partition. A right row that was behind is paired with all left
        rows that may still come, and is counted as late if there can be none.

        Raises
        ------
        PlanError : for keys that are missing or of different types, revised inputs, bounds that hold nothing.

        >>> import riverrun as rr
        >>> from datetime import datetime as at
        >>> orders = rr.read({"ts": [at(2026, 1, 1, 9)], "order": [1]}, time="ts")
        >>> paid = rr.read({"ts": [at(2026, 1, 1, 10)], "order": [1], "sum": [9.5]}, time="ts")
        >>> pairs = orders.join_interval(paid, on="order", lower="0s", upper="2h")
        >>> pairs.select("order", "sum").collect().rows()
        [(1, 9.5)]
        """
        _one_of(closed, ("both", "left", "right", "none"), "join_interval(closed=)")
        _one_of(how, ("inner", "left"), "join_interval(how=)")
        lower_us = parse_offset(lower, where="join_interval(lower=)") + (closed in ("right", "none"))
        upper_us = parse_offset(upper, where="join_interval(upper=)") - (closed in ("left", "none"))
        if lower_us > upper_us:
            raise PlanError(
                f"nothing lies between {lower!r} and {upper!r} (closed={closed!r})",
                where="join_interval",
                hint='lower="-5s", upper="5s": bounds on right time - left time',
            )
        keys = _names(on, "join_interval(on=)")
        parents = (self.node, _node(other, "join_interval"))
        return self._with(IntervalJoin(parents, keys, Span(lower_us, upper_us), how))

    def join_window(self, other: Stream, *, on: Keys = None, window: Window, how: How = "inner") -> Stream:
        """Every pair of a row of this stream and one of the other that fall into the same window.

        Pairs come out when the window closes, in the order of its end, then of left time, then of right
        time. In a session window the rows of both sides make the sessions together. Memory: the rows of
        windows that are open.

        Parameters
        ----------
        other : the right side.
        on : columns that must be equal, of the same name on both sides; null equals nothing.
        window : `rr.tumbling`, `rr.hopping`, `rr.cumulating` or `rr.session`.
        how : ``"left"`` also keeps left rows without a match in their window, with nulls.

        Returns
        -------
        The columns of this stream, those of the other without `on` (of a name that both have, the right one
        gets the suffix ``_right``), ``window_start`` and ``window_end``, which is the event time: pairs count
        as of the last instant of their window. `late` has the left rows that came too late for a window,
        with its bounds.

        Raises
        ------
        PlanError : for keys that are missing or of different types, revised inputs, other windows.

        >>> import riverrun as rr
        >>> from datetime import datetime as at
        >>> people = rr.read({"ts": [at(2026, 1, 1, 9)], "id": [1], "name": ["Ada"]}, time="ts")
        >>> offers = rr.read({"ts": [at(2026, 1, 1, 9, 30)], "id": [1], "item": ["lamp"]}, time="ts")
        >>> met = people.join_window(offers, on="id", window=rr.tumbling("1h"))
        >>> met.select("name", "item").collect().rows()
        [('Ada', 'lamp')]
        """
        _one_of(how, ("inner", "left"), "join_window(how=)")
        parents = (self.node, _node(other, "join_window"))
        return self._with(WindowJoin(parents, _names(on, "join_window(on=)"), window, how))

    def lookup(
        self,
        table: object,
        *,
        on: str | Sequence[str],
        ttl: Duration | None = None,
        query: str | None = None,
        how: LookupHow = "left",
        schema: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        on_failure: OnFailure = "stop",
        allow_private: bool = False,
    ) -> Stream:
        """Add the columns of a table to each row: names of products, limits of devices, rates of the day.

        Rows pass at once, in their order. A whole table is held in memory; where a key stands several times in
        it, the last row counts; null equals nothing. It is read here to know its columns, again when a run
        begins, and then, with `ttl`, whenever rows come and it is older than that, by the clock of the run. So
        with a table that changes, what a row gets depends on when it came.

        A URL with ``{key}`` in its path or query is asked for each key: ``"https://shop/products/{key}"``. It
        answers with a JSON object, or says that there is none (404). Answers are remembered, for `ttl` and for
        at most `Limits.max_keys` keys. The new keys of a batch are asked for together, 16 at a time, while the
        rows wait; each answer may take 5 seconds, and is tried three times, all of a batch 30 seconds.

        A run with ``state=`` keeps what it was told across a restart. It writes it into its journal, too: a
        replay after a crash sees the same tables and answers.

        Parameters
        ----------
        table : a frame; a CSV, Parquet, JSON or JSON-lines file, or the URL of one; ``"sqlite:FILE"`` or
            ``"duckdb:FILE"``; a URL with ``{key}``.
        on : columns that must be equal, of the same name on both sides; one column for a URL with ``{key}``.
        ttl : how long what was read stays good, such as ``"10m"``; for the whole run when left out.
        query : what to ask a database, such as ``"SELECT sku, name FROM products"``.
        how : ``"left"``: rows whose key is not in the table get nulls; ``"inner"``: they are left out.
        schema : the columns of an answer, for a URL with ``{key}``.
        headers : to send to a web server; what is secret is named: ``{"Authorization": "env:SHOP_LOGIN"}``.
        on_failure : when a table cannot be read again, or an answer does not come: ``"stop"`` the run;
            ``"stale"``: go on with what was known before (nulls, where nothing was); ``"null"``, for answers:
            nulls. What is missing is asked for again after 10 seconds.
        allow_private : whether the name of a web server may stand for an address of your own network or machine
            (``10.0.0.7``); ``localhost`` and addresses written in the URL may in any case.

        Returns
        -------
        The columns of this stream, then those of the table without `on`; of a name that both have, that of
        the table gets the suffix ``_right``.

        Raises
        ------
        ConfigError : for what is no table.
        SourceError : when the table cannot be read, or has other columns when it is read again.
        PlanError : for keys that are missing or of different types.

        >>> import riverrun as rr
        >>> names = {"sku": [7, 8], "name": ["lamp", "desk"]}
        >>> rr.read({"sku": [8, 9]}).lookup(names, on="sku").select("sku", "name").collect().rows()
        [(8, 'desk'), (9, None)]
        """
        _one_of(how, ("left", "inner"), "lookup(how=)")
        _one_of(on_failure, ("stop", "stale", "null"), "lookup(on_failure=)")
        keys = _names(on, "lookup(on=)")
        if not keys:
            raise PlanError("no key is named", where="lookup", hint='on="sku"')
        found = function("lookup")(table, query, headers, schema, private=allow_private)
        ttl_us = None if ttl is None else parse_duration(ttl, where="lookup(ttl=)")
        if isinstance(found, AskTable):
            if len(keys) > 1:
                raise PlanError(
                    f"a URL has room for one key, and here are {len(keys)}",
                    where="lookup(on=)",
                    hint='make one of them: .with_columns(key=pl.concat_str("country", "sku", separator="-"))',
                )
            made: Node = KeyedLookup((self.node,), keys[0], found, found.columns, ttl_us, how, on_failure)
            return self._with(made)
        if on_failure == "null":
            raise PlanError(
                "a table that cannot be read has no rows to leave null",
                where="lookup(on_failure=)",
                hint='"stale" goes on with the table that was read before',
            )
        return self._with(Lookup((self.node,), keys, found, _columns_of(found, ttl), ttl_us, how, on_failure))


def _columns_of(table: Any, ttl: Duration | None) -> dict[str, pl.DataType]:
    """The columns of a table, which is read for that."""
    if not isinstance(table, pl.DataFrame):
        found = table.read(function("world")()).table
        assert found is not None, "a table that was never read before says what it holds"
        return dict(found.schema)
    if ttl is not None:
        raise PlanError("a frame does not change", where="lookup(ttl=)", hint="leave ttl= out")
    return dict(table.schema)


def union(*streams: Stream) -> Stream:
    """The rows of several streams as one: see `Stream.union`.

    >>> import riverrun as rr
    >>> rows = rr.union(rr.read({"x": [1]}), rr.read({"x": [2]}))
    >>> rows.select("x").collect()["x"].sort().to_list()
    [1, 2]
    """
    if not streams:
        raise PlanError("there is nothing to unite", where="union", hint="rr.union(a, b)")
    first, *others = streams
    return first.union(*others) if others else first


def _node(other: object, where: str) -> Node:
    if not isinstance(other, Joining):
        raise PlanError(f"the other side must be a stream, got {other!r}", where=where, hint="rr.read(...)")
    return other.node


def _names(keys: Keys, where: str) -> tuple[str, ...]:
    names = () if keys is None else (keys,) if isinstance(keys, str) else tuple(keys)
    for name in names:
        if not isinstance(name, str):
            raise PlanError(
                f"a key of a join is the name of a column, got {name!r}",
                where=where,
                hint="make the column first: .with_columns(day=pl.col('ts').dt.date())",
            )
    return tuple(dict.fromkeys(names))


def _one_of(given: str, known: Sequence[str], where: str) -> None:
    if given not in known:
        raise PlanError(
            f"{given!r} is not among {', '.join(repr(name) for name in known)}",
            where=where,
            hint=did_you_mean(str(given), known),
        )
