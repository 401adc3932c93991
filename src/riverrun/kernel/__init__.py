"""What one batch does: each step as pure functions of a state and a batch."""
