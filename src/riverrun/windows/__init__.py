"""Windows: what they are, which rows fall into them, and when event time has passed them."""
