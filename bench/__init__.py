"""Benchmarks: both sides in one process, on the same images, as ratios. `make bench` runs them and writes a page."""
