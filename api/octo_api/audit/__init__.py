"""Who did what, and who was refused: kept, and read over REST."""
