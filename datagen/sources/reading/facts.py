"""What a record says of its picture: where it was published, its licence, and where it was taken."""

from collections.abc import Mapping
from typing import Any

COORDINATES = ("latitude", "longitude")
FACTS = ("url", "license", *COORDINATES)
"""The fields of a record that an entry takes."""


def facts_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts as an entry takes them."""
    return {"url": str(record.get("url") or ""), "license": str(record.get("license") or ""), **coordinates(record)}


def coordinates(record: Mapping[str, Any]) -> dict[str, float]:
    """Return latitude and longitude in degrees; nothing where one is missing or is none.

    The point 0, 0 lies in the sea, and is what programs write for a place that they do not know.

    >>> coordinates({"latitude": "35.66", "longitude": 139.75})
    {'latitude': 35.66, 'longitude': 139.75}
    >>> coordinates({"latitude": "", "longitude": "139.75"}), coordinates({"latitude": 0, "longitude": 0})
    ({}, {})
    """
    try:
        latitude, longitude = (float(record[name]) for name in COORDINATES)
    except (KeyError, TypeError, ValueError, OverflowError):
        return {}
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or latitude == longitude == 0:  # NaN is not <= 90 either
        return {}
    return {"latitude": latitude, "longitude": longitude}
