import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.soak.measures import quantile, slope, thinned, thirds


@settings(deadline=None)
@given(st.floats(-1e3, 1e3), st.floats(-1e6, 1e6), st.integers(3, 30))
def test_the_slope_of_a_line_is_its_slope(per_second, begin, count):
    points = [(float(at), begin + per_second * at) for at in range(count)]
    assert slope(points) == pytest.approx(per_second, rel=1e-6, abs=1e-6)


@settings(deadline=None)
@given(st.lists(st.floats(-1e9, 1e9), min_size=20, max_size=20), st.data())
def test_a_quarter_of_wild_points_does_not_turn_it_round(wild, data):
    points = [(float(at), 3.0 * at) for at in range(20)]
    for at in data.draw(st.permutations(range(20)))[:5]:
        points[at] = (float(at), wild[at])
    assert 0 < slope(points) < 6


def test_a_saw_has_no_slope_and_a_rising_saw_has_one():
    saw = [(float(at), float(at % 10)) for at in range(300)]
    assert abs(slope(saw)) < 0.01
    assert slope([(at, value + 0.5 * at) for at, value in saw]) == pytest.approx(0.5, abs=0.01)


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=50), st.floats(0.01, 1))
def test_a_quantile_leaves_no_more_than_the_rest_above_it(values, share):
    found = quantile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= math.ceil(share * len(values))
    assert sum(value < found for value in values) < math.ceil(share * len(values))


@settings(deadline=None)
@given(st.integers(1, 3_000), st.integers(1, 700))
def test_thinned_points_reach_over_the_whole_time(count, most):
    points = [(float(at), 1.0) for at in range(count)]
    kept = thinned(points, most)
    assert len(kept) <= most
    assert kept[0] == points[0]
    assert kept == sorted(set(kept))
    assert set(kept) <= set(points)


def test_thirds_go_by_time_and_not_by_number():
    points = [(0.0, 1.0), (0.1, 2.0), (0.2, 3.0), (50.0, 4.0), (90.0, 5.0)]
    assert thirds(points) == ([1.0, 2.0, 3.0], [5.0])
