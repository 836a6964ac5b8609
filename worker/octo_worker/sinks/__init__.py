"""Where objects are written to. S3 is the one there is."""
