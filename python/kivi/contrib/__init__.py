"""Adapters of other packages, each in a module of its own that imports what it adapts: django, cachelib; and locks, cached."""
