"""matplotlib's SVG at the size of a page: photographs as JPEG, coordinates to a tenth of a point, short names."""

import base64
import io
import re

PHOTOGRAPH = re.compile(r"data:image/png;base64,\s*([A-Za-z0-9+/=\s]+)")
PATH = re.compile(r'(?<=\s)(d|x|y|style|transform)="([^"]+)"')
NOISE = re.compile(r"<!--.*?-->|<metadata>.*?</metadata>|<\?xml.*?\?>|<!DOCTYPE[^>]*>|(?<=>)\s+(?=<)", re.S)
GLYPH = re.compile(r'<use xlink:href="#([\w.-]+)" transform="translate\((-?\d+(?:\.\d)?)\d* 0\)"\s*/>')
NAME = re.compile(r'\sid="([\w.-]+)"')  # that of a gallery has a colon, and is kept
REFERENCE = re.compile(r"""(?<=href=["']#)[\w.-]+|(?<=url\(#)[\w.-]+""")
QUALITY = 88  # of JPEG, 0 to 100: no artefact is seen at the size of a page
WORTH = (
    0.5  # a picture becomes a JPEG if that leaves at most this share: charts and masks are smaller, and exact, as PNG
)


def light(svg: str) -> str:
    """The same drawing in fewer bytes; an opaque picture may lose what the eye does not see."""
    svg = PHOTOGRAPH.sub(lambda found: _lighter(found[0], found[1]), svg)
    svg = NOISE.sub("", NOISE.sub("", svg))
    svg = GLYPH.sub(r"<use href='#\1' x='\2'/>", svg)
    short = {name: f"n{i}" for i, name in enumerate(dict.fromkeys(REFERENCE.findall(svg)))}
    svg = REFERENCE.sub(lambda found: short[found[0]], svg)
    svg = NAME.sub(lambda found: f' id="{short[found[1]]}"' if found[1] in short else "", svg)
    return PATH.sub(lambda found: f'{found[1]}="{_terse(found[1], found[2])}"', svg)


def _terse(name: str, value: str) -> str:
    if name == "transform":  # a glyph's scale needs its digits
        return re.sub(r"(\.\d{4})\d+", r"\1", value)
    if name == "style":
        return re.sub(r"\s*([:;])\s*", r"\1", value)
    return " ".join(re.sub(r"(\.\d)\d+", r"\1", value).split())


def _lighter(address: str, content: str) -> str:
    from PIL import Image

    png, file = base64.b64decode(content), io.BytesIO()
    picture = Image.open(io.BytesIO(png))
    if "A" in picture.getbands() and picture.getchannel("A").getextrema()[0] < 255:
        return address  # JPEG knows no transparency
    picture.convert("RGB").save(file, "JPEG", quality=QUALITY, subsampling=0)
    if file.tell() > WORTH * len(png):
        return address
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
