"""Real PostgreSQL and Valkey with nothing installed, and the supervisor behind `make run`."""
