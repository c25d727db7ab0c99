"""How well messages are understood, told on rows that were never learned from: measures, calibration, comparison, folds, report."""
