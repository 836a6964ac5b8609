"""Schedules of providers: what they will fire, and runs as if they had fired."""
