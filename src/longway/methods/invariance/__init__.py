"""Methods that compare the risk of environments."""
