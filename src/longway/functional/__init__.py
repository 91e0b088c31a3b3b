"""Pure tensor functions: no state, no input or output; any device and dtype."""
