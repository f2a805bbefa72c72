"""`make bench`: what each operation costs beside its floor, measured in one run on throw-away databases."""

HOST = "bench.example"
