"""Scripts that measure: each writes its own page of docs/results."""
