"""The guards of the ten invariants, and that a test notices when one is taken out."""
