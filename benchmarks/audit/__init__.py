"""A zoo of data sets with and without shortcuts, and how the audit judges them."""
