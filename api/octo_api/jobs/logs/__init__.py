"""What a run wrote to its log: live from its pod, afterwards from the archive."""
