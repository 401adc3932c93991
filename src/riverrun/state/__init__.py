"""What survives a crash: a journal of what came in, and a database of what became of it.

`riverrun.state.store.Store` is the door; docs/durability.md tells the rules and what each one guards against.
"""
