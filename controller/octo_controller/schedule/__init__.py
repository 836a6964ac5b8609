"""Runs by the clock: which tick of a provider's schedule makes an OctoJob, and which none."""
