"""Longway trains and audits classifiers that do not take shortcuts."""

__version__ = "0.1.0"
