"""Runs in mode Verify: asked for, followed, and read afterwards."""
