"""matplotlib's SVG at the size of a page: the photographs in it as JPEG, its coordinates to a hundredth of a point."""

import base64
import io
import re

PHOTOGRAPH = re.compile(r"data:image/png;base64,\s*([A-Za-z0-9+/=\s]+)")
PATH = re.compile(r'(?<=\sd=")[^"]+')
QUALITY = 88  # of JPEG, 0 to 100: no artefact is seen at the size of a page
WORTH = (
    0.5  # a picture becomes a JPEG if that leaves at most this share: charts and masks are smaller, and exact, as PNG
)


def light(svg: str) -> str:
    """The same drawing in fewer bytes; an opaque picture may lose what the eye does not see."""
    svg = PHOTOGRAPH.sub(lambda found: _lighter(found[0], found[1]), svg)
    return PATH.sub(lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), svg)


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
