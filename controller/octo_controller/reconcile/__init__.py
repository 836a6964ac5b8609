"""From what is to what should be: observe, decide (pure), act."""
