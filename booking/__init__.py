"""Yiqi 仪起: instruments found, booked and shared."""
