"""Where a bin begins, for histograms and for those who look a number up in them."""

from __future__ import annotations

# Part of a bin below a boundary that counts as on it. A label on the boundary may come as a single, from a file as a
# double, or divided by a width such as 0.1; without this the same label would fall on either side of it.
BOUNDARY_TOLERANCE = 1e-3
