"""Memory: GFP flags, zones and page allocation, reclaim, shrinkers, mempools, slab layout."""
