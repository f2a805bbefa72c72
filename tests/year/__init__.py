"""A year of the pipeline, lived by different clocks: `python -m tests.year` for all of it."""
