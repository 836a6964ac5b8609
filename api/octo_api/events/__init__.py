"""What happens to runs: pages to read, streams to follow."""
