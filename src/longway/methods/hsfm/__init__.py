"""HSFM: learned edits of support features."""
