import polars as pl
import riverrun as rr

sales = rr.read(
    "tcp+listen://127.0.0.1:7788", ack=True, name="sales", time="ts", format=rr.Csv(header=False, null_values=("", "free")),
    schema={"ts": rr.Timestamp("s"), "shop": pl.String, "amount": pl.Float64},
)
per_shop = sales.group_by("shop").window(rr.tumbling("1m")).agg(n=rr.count(), revenue=rr.sum("amount"))

pipeline = rr.Pipeline("shop", [per_shop.write("csv:revenue.csv")])
state = rr.State("state/", history_bytes=1_000_000_000)

if __name__ == "__main__":
    pipeline.run(state=state)
