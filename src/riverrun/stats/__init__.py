"""Statistics as an algebra of column expressions: what is kept of rows, how it is merged, what it tells."""
