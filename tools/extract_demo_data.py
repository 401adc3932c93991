"""Make the small extracts of real data that the demos ship with.

    python tools/extract_demo_data.py --stocks stocks_daily.csv.gz --heart path/to/heartpy/data

`--stocks`: daily prices with the columns ticker, date, open, high, low, close, volume, adj_close.
`--heart`: the folder with the recordings of the package heartpy (1.2.7); found by itself when installed.
The same input gives the same bytes. Sources and licences: src/riverrun/demos/data/LICENSES.md.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
from pathlib import Path

import polars as pl

SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT")
PRICES = ("open", "high", "low", "close")
SIGNIFICANT_DIGITS = 6

#: How long both heart recordings are: as long as the shorter one.
WARD_MS = 128_210
#: Where the longer recording begins: its first two minutes saturate the sensor.
LONG_RECORDING_FROM_MS = 120_000

DEFAULT_OUT = Path(__file__).parents[1] / "src" / "riverrun" / "demos" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description="make the data of the demos")
    parser.add_argument("--stocks", type=Path, required=True, help="daily prices (CSV, may be gzipped)")
    parser.add_argument("--heart", type=Path, default=installed_heart_data(), help="heartpy's folder of data")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="where the extracts go")
    arguments = parser.parse_args()
    if arguments.heart is None:
        parser.error("heartpy is not installed: pip install heartpy==1.2.7, or say --heart FOLDER")
    prices = adjusted_prices(pl.read_csv(arguments.stocks))
    write(arguments.out / "stocks.csv.gz", stocks(prices))
    write(arguments.out / "returns.csv.gz", returns(prices))
    write(arguments.out / "ward.csv.gz", ward(arguments.heart))


def installed_heart_data() -> Path | None:
    """The recordings inside an installed heartpy, without importing it."""
    spec = importlib.util.find_spec("heartpy")
    return Path(spec.origin).parent / "data" if spec and spec.origin else None


def adjusted_prices(daily: pl.DataFrame) -> pl.DataFrame:
    """Prices on the scale of the adjusted close, so that a split is no fall, and the last close before."""
    factor = pl.col("adj_close") / pl.col("close")
    return (
        daily.filter(pl.col("ticker").is_in(SYMBOLS))
        .rename({"ticker": "symbol"})
        .with_columns(pl.col(price) * factor for price in PRICES)
        .sort("date", "symbol")
        .with_columns(prev_close=pl.col("close").shift(1).over("symbol"))
        .select("date", "symbol", *PRICES, "prev_close", "volume")
    )


def stocks(prices: pl.DataFrame) -> pl.DataFrame:
    """One row for each day and symbol."""
    return prices.with_columns(pl.col(*PRICES, "prev_close").round_sig_figs(SIGNIFICANT_DIGITS))


def returns(prices: pl.DataFrame) -> pl.DataFrame:
    """Daily returns in percent, one column for each symbol, on days when all of them have one."""
    change = ((pl.col("close") / pl.col("prev_close") - 1) * 100).round_sig_figs(SIGNIFICANT_DIGITS)
    long = prices.select("date", "symbol", change=change)
    return (
        long.pivot("symbol", index="date", values="change").sort("date").select("date", *SYMBOLS).drop_nulls()
    )


def ward(heart: Path) -> pl.DataFrame:
    """Two recordings side by side, in milliseconds since their beginning."""
    beds = [short_recording(heart / "data2.csv"), long_recording(heart / "data3.csv")]
    return pl.concat(beds).sort("t_ms", "patient", maintain_order=True)


def short_recording(path: Path) -> pl.DataFrame:
    """117 rows a second; times are milliseconds with decimals."""
    t_ms = pl.col("timer").round().cast(pl.Int64)
    return pl.read_csv(path).select(t_ms=t_ms, patient=pl.lit("bed-1"), signal=pl.col("hr").cast(pl.Int64))


def long_recording(path: Path) -> pl.DataFrame:
    """100 rows a second; times are as recorded, in steps of the recorder's clock (15 or 16 ms)."""
    at = pl.col("datetime").str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ms")
    t_ms = (at - at.first()).dt.total_milliseconds() - LONG_RECORDING_FROM_MS
    rows = pl.read_csv(path).select(t_ms=t_ms, patient=pl.lit("bed-2"), signal=pl.col("hr").cast(pl.Int64))
    return rows.filter(pl.col("t_ms").is_between(0, WARD_MS))


def write(path: Path, frame: pl.DataFrame) -> None:
    """Gzipped CSV without the time of writing, so that the same rows are the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(frame.write_csv().encode(), compresslevel=9, mtime=0))
    print(f"{path.name}: {frame.height:,} rows, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
