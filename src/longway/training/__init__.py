"""The training loop with its options, schedules, checkpoints, loggers and selection of epochs."""
