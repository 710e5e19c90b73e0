"""State: one SQLite file behind the `Store` contract."""
