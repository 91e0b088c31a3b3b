"""Speed, memory and accuracy against named references; each module has a `run` and a `main`."""
