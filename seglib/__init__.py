"""seglib: the library under the segmentation workbook (notebooks/ tell the story, this package does the work)."""

__version__ = "0.1.0"
