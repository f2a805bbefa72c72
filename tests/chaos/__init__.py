"""Everything is killed by turns while other systems go on telling: `python -m tests.chaos`."""
