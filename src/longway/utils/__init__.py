"""Errors, devices and seeds, progress, atomic storage and memory-mapped arrays."""
