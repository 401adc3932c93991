"""The testing kit: scripts played to streams in virtual time, and the laws of aggregates and durable sinks."""

from __future__ import annotations

from riverrun.testing.delivery import check_exactly_once
from riverrun.testing.laws import check_aggregate_laws
from riverrun.testing.manual_clock import ManualClock
from riverrun.testing.script import Script, advance_clock, end, malformed, rows, watermark
from riverrun.testing.simulated_world import SimulatedWorld, SimulationStuck
from riverrun.testing.transcript import Moment, Transcript, play

__all__ = [
    "ManualClock",
    "Moment",
    "Script",
    "SimulatedWorld",
    "SimulationStuck",
    "Transcript",
    "advance_clock",
    "check_aggregate_laws",
    "check_exactly_once",
    "end",
    "malformed",
    "play",
    "rows",
    "watermark",
]
