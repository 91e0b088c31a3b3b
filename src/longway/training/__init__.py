"""Training of networks: the loop, its options, schedules, checkpoints, loggers and selection of epochs."""

from longway.training.options import TrainingOptions, training_options

__all__ = ["TrainingOptions", "training_options"]
