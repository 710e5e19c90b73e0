"""A report written down: for people (`page`, `charts`), for programs (`data`, `parquet`). Each takes any `Report`."""
