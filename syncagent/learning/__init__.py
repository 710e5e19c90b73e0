"""The training room: a scorecard is learned from this org's own outcomes, with the order of time respected.

rows      what was known of people at past moments, and what came of it
leaks     columns that were filled in only after the outcome was known
features  columns cut into bins
fitting   weights, calibration, measures: the one module that needs scikit-learn
card      what the model is and how good, for people
training  all of it in order
drift     whether the world still looks as it did in training

Nothing outside needs scikit-learn: what is learned is a `Scorecard`, and `handoff/likelihood.py` sums it up.
"""
