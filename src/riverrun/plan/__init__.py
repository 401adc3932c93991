"""The plan of a pipeline: a closed set of nodes, the fluent `Stream` over them, checks and `explain`."""
