"""Measurements, always as ratios against one-shot Polars over the same bytes in the same run."""
