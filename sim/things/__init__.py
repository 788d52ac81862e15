"""Things that lie on the table, as data."""
