"""Conflict resolution in pure numbers: wishes and instruments in, plans with reasons out; people accept them.

The grid is a quarter of an hour; every length is a whole number of slots, every span half-open [start, end).
"""
