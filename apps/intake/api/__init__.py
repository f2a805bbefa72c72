"""The REST API: the same accounts, moves and facts as the pages, for other people's programs."""
