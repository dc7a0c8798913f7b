"""Segment Anything beside a study's models, on the same test images; the source of every prompt is named.

`checkpoints` says which weights there are and finds them, `prompts` makes boxes and points, `network` asks SAM through
transformers, `masks` turns answers into predictions, `outputs` keeps them in the run store, `comparison` chooses the
study's models, `table` and `said` show it all.
"""
