"""What the trade is, in pure functions: no framework, no table, no clock."""
