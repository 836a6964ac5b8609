"""For those who run the api: probes and metrics."""
