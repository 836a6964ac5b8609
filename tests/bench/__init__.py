"""Benches: how fast Octo is beside what people use today. Run by `make bench-*`, no tests."""
