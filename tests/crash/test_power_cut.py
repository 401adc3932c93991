"""Power cuts at any instant, with torn and reordered sectors: what was acknowledged is there, once."""

from __future__ import annotations

import pytest

from tests.crash.cutting import bad_images, traces_of

IMAGES = 800


@pytest.mark.timeout(3000)
def test_nothing_acknowledged_is_lost_or_doubled(traced, fast_folder, scale):
    traces = traces_of(traced, 2 * min(scale, 10))
    bad = bad_images(traces, fast_folder, IMAGES * scale)
    assert not bad, f"{len(bad)} of {IMAGES * scale}:\n" + "\n".join(bad[:5])


@pytest.mark.parametrize(
    ("what", "settings", "variant"),
    [
        ("no sync at all", {"skip_sync": ""}, ""),
        ("no sync of the journal", {"skip_sync": "/journal/"}, ""),
        ("a database that syncs now and then", {}, "lax-database"),
    ],
    ids=["no-sync", "no-journal-sync", "lax-database"],
)
def test_control_without_protection_it_does_lose(traced, fast_folder, what, settings, variant):
    bad = bad_images(traces_of(traced, 1, variant, **settings), fast_folder, 100)
    assert len(bad) >= 5, f"with {what} only {len(bad)} of 100 disks were bad: these tests would find nothing"
