"""Joins and unions as short conversations: when answers come, and what happens to rows that are late."""

from __future__ import annotations

import polars as pl

import riverrun as rr
from riverrun.testing import advance_clock, end, play, rows, watermark

SCHEMA = {"t": rr.Timestamp("s"), "key": pl.String, "x": pl.Int64}


def feed(name, **options):
    return rr.read("tcp://localhost:9", format="csv", schema=SCHEMA, time="t", name=name, **options)


TRADES, QUOTES = feed("trades"), feed("quotes")


def trades(*items):
    return rows(*items, source="trades")


def quotes(*items):
    return rows(*items, source="quotes")


def seconds(frame, *columns):
    instants = pl.col(pl.Datetime).to_physical() // 1_000_000
    return frame.with_columns(instants).select(*columns).rows()


def says(stream, *steps, columns=("t", "x", "x_right")):
    """What each step put out."""
    transcript = play(stream, list(steps))
    return [seconds(transcript.after(step), *columns) for step in range(len(steps))]


def test_an_answer_waits_for_the_watermarks_of_both_sides():
    assert says(
        TRADES.join_asof(QUOTES, by="key"),
        quotes((1, "a", 10)),
        trades((3, "a", 1)),
        quotes((4, "a", 11)),
        trades((5, "a", 2)),
        end(),
    ) == [[], [], [], [(3, 1, 10)], [(5, 2, 11)]]


def test_a_quote_of_the_same_time_that_comes_later_still_counts():
    assert says(
        TRADES.join_asof(QUOTES, by="key"),
        quotes((1, "a", 10)),
        trades((3, "a", 1), (9, "a", 2)),
        quotes((3, "a", 11)),
        quotes((3, "a", 12), (9, "b", 0)),
        end(),
    ) == [[], [], [], [(3, 1, 12)], [(9, 2, 12)]]


def test_a_trade_without_a_quote_gets_nulls():
    assert says(TRADES.join_asof(QUOTES, by="key"), trades((3, "a", 1)), quotes((4, "b", 9)), end()) == [
        [],
        [],
        [(3, 1, None)],
    ]


def test_looking_forward_waits_for_the_tolerance():
    assert says(
        TRADES.join_asof(QUOTES, by="key", direction="forward", tolerance="5s"),
        trades((3, "a", 1), (20, "a", 2)),
        quotes((4, "a", 10)),
        quotes((8, "b", 0)),
        quotes((9, "b", 0)),
        end(),
    ) == [[], [], [], [(3, 1, 10)], [(20, 2, None)]]


def test_a_late_trade_goes_to_late():
    """Trades before the watermark have been answered, as far as their own side is concerned."""
    transcript = play(
        TRADES.join_asof(QUOTES, by="key"),
        [quotes((1, "a", 10)), trades((5, "a", 1), (3, "a", 2), (6, "a", 3)), end()],
    )
    assert seconds(transcript.results, "t", "x", "x_right") == [(5, 1, 10), (6, 3, 10)]
    assert seconds(transcript.late, "t", "key", "x") == [(3, "a", 2)]
    assert transcript.counts_of("trades").late == 1


def test_a_late_quote_counts_from_the_watermark_on():
    """The trade at 4 was answered when the watermark of quotes came to 5; that at 6 was not."""
    transcript = play(
        TRADES.join_asof(QUOTES, by="key"),
        [
            quotes((1, "a", 10)),
            trades((4, "a", 1), (6, "a", 2)),
            quotes((5, "b", 0)),
            quotes((3, "a", 11)),
            end(),
        ],
    )
    assert seconds(transcript.results, "t", "x", "x_right") == [(4, 1, 10), (6, 2, 11)]
    assert transcript.counts_of("quotes").late == 0


def test_a_late_quote_that_no_trade_can_match_is_counted_as_late():
    transcript = play(
        TRADES.join_asof(QUOTES, by="key", tolerance="2s"),
        [quotes((1, "a", 10), (9, "a", 11), (6, "a", 12), (7, "a", 13)), trades((9, "a", 1)), end()],
    )
    assert transcript.counts_of("quotes").late == 1
    assert transcript.counts_of("quotes").applied == 3


def test_pairs_come_when_no_more_can():
    assert says(
        TRADES.join_interval(QUOTES, on="key", lower="-1s", upper="2s"),
        trades((3, "a", 1), (9, "a", 2)),
        quotes((2, "a", 10), (4, "a", 11)),
        quotes((6, "b", 0)),
        end(),
    ) == [[], [], [(3, 1, 10), (3, 1, 11)], []]


def test_a_left_join_says_so_when_nothing_can_match_any_more():
    assert says(
        TRADES.join_interval(QUOTES, on="key", lower="-1s", upper="2s", how="left"),
        trades((3, "a", 1), (9, "a", 2)),
        quotes((5, "b", 0)),
        quotes((6, "b", 0)),
        end(),
    ) == [[], [], [(3, 1, None)], [(9, 2, None)]]


def test_an_input_that_is_over_holds_nothing_back():
    assert says(
        TRADES.join_asof(QUOTES, by="key"),
        quotes((1, "a", 10)),
        end(source="quotes"),
        trades((3, "a", 1), (4, "a", 2)),
        end(source="trades"),
    ) == [[], [], [(3, 1, 10)], [(4, 2, 10)]]


def test_rows_of_a_window_meet_when_it_closes():
    transcript = play(
        TRADES.join_window(QUOTES, on="key", window=rr.tumbling("10s")),
        [
            trades((3, "a", 1), (12, "a", 2), (4, "a", 3)),
            quotes((2, "a", 10)),
            quotes((11, "a", 11)),
            quotes((5, "a", 12)),
            end(),
        ],
    )
    columns = ("t", "x", "x_right", "window_start", "window_end")
    assert [seconds(transcript.after(step), *columns) for step in range(5)] == [
        [],
        [],
        [(3, 1, 10, 0, 10)],
        [],
        [(12, 2, 11, 10, 20)],
    ]
    assert seconds(transcript.late, "t", "x", "window_start", "window_end") == [(4, 3, 0, 10)]
    assert transcript.counts_of("quotes").late == 1


def test_windows_can_follow_a_join():
    matched = TRADES.join_asof(QUOTES, by="key")
    worst = matched.group_by("key").window(rr.tumbling("10s")).agg(far=rr.max(pl.col("x") - pl.col("x_right")))
    assert says(
        worst,
        quotes((1, "a", 10), (30, "a", 20)),
        trades((3, "a", 12), (9, "a", 17), (11, "a", 13)),
        end(),
        columns=("window_end", "far"),
    ) == [[], [(10, 7)], [(20, 3)]]


def test_a_union_follows_the_slowest_and_keeps_each_rows_own_watermark():
    both = rr.union(TRADES, QUOTES)
    counts = both.group_by("key").window(rr.tumbling("10s")).agg(n=rr.count())
    transcript = play(
        counts,
        [
            trades((3, "a", 1), (15, "a", 1)),
            quotes((4, "a", 1)),
            trades((5, "a", 1)),
            quotes((6, "a", 1), (20, "b", 1)),
            end(),
        ],
    )
    assert [seconds(transcript.after(step), "key", "window_end", "n") for step in range(5)] == [
        [],
        [],
        [],
        [("a", 10, 3)],
        [("a", 20, 1), ("b", 30, 1)],
    ]
    assert transcript.counts_of("trades").late == 1


def test_a_silent_side_is_left_out_when_it_may_be_idle():
    idle = feed("quotes", idle="5s")
    assert says(
        TRADES.join_asof(idle, by="key"),
        quotes((1, "a", 10)),
        trades((3, "a", 1), (4, "a", 2)),
        advance_clock("6s"),
        advance_clock("2s"),
        watermark(50, source="trades"),
        advance_clock("1m"),
    ) == [[], [], [(3, 1, 10)], [], [(4, 2, 10)], []]


def test_a_grid_can_follow_a_join():
    """Results of joins do not carry the place of a row, which rows of several sources do."""
    grid = TRADES.join_asof(QUOTES, by="key").resample("1s", by="key", max_gap="5s")
    transcript = play(grid, [quotes((1, "a", 10)), trades((2, "a", 1), (4, "a", 2)), end()])
    assert seconds(transcript.results, "t", "x", "x_right") == [(2, 1, 10), (3, 1, 10), (4, 2, 10)]
