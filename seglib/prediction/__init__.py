"""A finished run applied to images of one's own: what `seglib.predict` is made of."""
