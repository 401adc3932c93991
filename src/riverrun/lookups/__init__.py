"""Tables that rows are looked up in: frames, files and queries."""
