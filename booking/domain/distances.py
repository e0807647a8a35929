"""Distances as the crow flies, by the haversine formula, which stays exact where two places are near each other.

R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68 (1984), page 159. The earth as a sphere of its mean
radius is right to half a per cent.
"""

from math import asin, cos, radians, sin, sqrt

RADIUS = 6371.0088
"""The mean radius of the earth in kilometres (IUGG)."""

SAME_PLACE = 0.1
"""No two places are told to be nearer than this."""

Point = tuple[float, float]
"""Latitude and longitude in degrees of WGS 84."""


def kilometres(here: Point, there: Point) -> float:
    """Give the length of the great circle between two points."""
    (north, east), (far_north, far_east) = (
        tuple(radians(degrees) for degrees in one) for one in (here, there)
    )
    half = sin((far_north - north) / 2) ** 2
    half += cos(north) * cos(far_north) * sin((far_east - east) / 2) ** 2
    return 2 * RADIUS * asin(min(1.0, sqrt(half)))


def told(here: Point | None, there: Point | None) -> float | None:
    """Give the distance of two places in tenths of a kilometre; None where one of them is unknown."""
    if here is None or there is None:
        return None
    return max(SAME_PLACE, round(kilometres(here, there), 1))
