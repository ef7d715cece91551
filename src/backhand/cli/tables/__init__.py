"""The commands for table files: train, predict, evaluate."""
