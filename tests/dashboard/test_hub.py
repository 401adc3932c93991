"""Viewers come, fall behind, leave and come back; memory stays bounded."""

from __future__ import annotations

import asyncio

import pytest

from riverrun.dashboard.hub import Hub


def drain(viewer):
    return asyncio.run(viewer.next(1.0))


def ids(messages):
    return [line.split(":")[-1] for line in messages.decode().splitlines() if line.startswith("id:")]


def test_all_viewers_get_the_same_bytes():
    hub = Hub("e")
    a, first = hub.join(None)
    b, _ = hub.join(None)
    hub.broadcast("delta", b"{}")
    assert first == b'id: e:0\nevent: hello\ndata: {"epoch":"e","seq":0,"resumed":false}\n\n'
    assert drain(a) == drain(b) == b"id: e:1\nevent: delta\ndata: {}\n\n"


def test_who_comes_back_gets_what_was_missed():
    hub = Hub("e")
    for _ in range(5):
        hub.broadcast("delta", b"{}")
    _, first = hub.join("e:3")
    assert b'"resumed":true' in first
    assert ids(first) == ["3", "4", "5"]


@pytest.mark.parametrize("last", [None, "", "other:3", "e:9", "e:-1", "e:x", "e:1", "e:", "e:²"])
def test_who_was_away_too_long_or_comes_from_elsewhere_starts_anew(last):
    hub = Hub("e", ring_messages=3)
    for _ in range(5):
        hub.broadcast("delta", b"{}")
    _, first = hub.join(last)
    assert b'"resumed":false' in first
    assert ids(first) == ["5"]


def test_nothing_missed_is_resumed_too():
    hub = Hub("e")
    hub.broadcast("delta", b"{}")
    assert hub.since("e:1") == []


def test_the_ring_is_bounded_in_bytes():
    hub = Hub("e", ring_bytes=1_000)
    for _ in range(50):
        hub.broadcast("delta", b"x" * 100)
    assert len(hub.since("e:43") or []) == 7
    assert hub.since("e:40") is None


def test_a_slow_viewer_loses_its_queue_and_is_told_to_start_anew():
    hub = Hub("e", queue_messages=3)
    slow, _ = hub.join(None)
    for _ in range(10):
        hub.broadcast("delta", b"{}")
    waiting = drain(slow)
    assert waiting.startswith(b"id: e:10\nevent: reset\n") or b"event: reset\n" in waiting
    assert len(ids(waiting)) <= 3
    assert ids(waiting)[-1] == "10"
    assert slow.overflows >= 2


def test_the_end_of_a_stream():
    hub = Hub("e")
    viewer, _ = hub.join(None)
    hub.close()
    assert drain(viewer) is None
    hub.leave(viewer)
    assert not hub.viewers


def test_silence_is_said():
    viewer, _ = Hub("e").join(None)
    assert asyncio.run(viewer.next(0.001)) == b""


def test_the_house_can_be_full():
    hub = Hub("e", viewers=1)
    assert not hub.full
    hub.join(None)
    assert hub.full
