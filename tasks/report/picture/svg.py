"""SVG, written: elements, and where things lie in a part of the picture. All lengths are points."""

import struct
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

FONT = "DejaVu Sans, Verdana, Arial, sans-serif"
# The width of an average letter as a share of the font's size.
LETTER = 0.6

Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""


@dataclass(frozen=True)
class Plot:
    """A part of the picture with axes of its own: seconds from 0 on, and down from `first` to `last`."""

    left: float
    top: float
    width: float
    height: float
    length_seconds: float
    first: float
    last: float

    @property
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def right(self) -> float:
        return self.left + self.width

    def x(self, seconds: float) -> float:
        return self.left + self.width * seconds / self.length_seconds

    def y(self, value: float) -> float:
        return self.top + self.height * (value - self.first) / (self.last - self.first)


def element(name: str, content: str = "", /, **attributes: object) -> str:
    """One element; its attributes have - where Python wants _."""
    given = "".join(
        f" {key.replace('_', '-')}={quoteattr(_spell(value))}" for key, value in attributes.items()
    )
    return f"<{name}{given}>{content}</{name}>" if content else f"<{name}{given}/>"


def _spell(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def write_text(x: float, y: float, text: str, size: float, fill: str, **attributes: object) -> str:
    """A line of text, its middle at `y`, and its beginning at `x` or what `text_anchor` says."""
    return element("text", escape(text), x=x, y=y + 0.35 * size, font_size=size, fill=fill, **attributes)


def measure_text(text: str, size: float) -> float:
    """About how wide a text is."""
    return len(text) * size * LETTER


def draw_boxes(name: str, boxes: Iterable[Box], **look: object) -> str:
    """Boxes of one look, as one path; "" if there are none."""
    path = "".join(
        f"M{left:.2f} {top:.2f}H{right:.2f}V{bottom:.2f}H{left:.2f}z" for left, top, right, bottom in boxes
    )
    return group(name, [element("path", d=path, **look)]) if path else ""


def draw_line(points: Iterable[tuple[float, float]], **look: object) -> str:
    path = "L".join(f"{x:.2f} {y:.2f}" for x, y in points)
    return element("path", d=f"M{path}", **look)


def group(name: str, elements: Iterable[str]) -> str:
    return element("g", "".join(elements), id=name)


def draw_pixels(plot: Plot, pixels: Sequence[Sequence[tuple[int, int, int]]], height: float) -> str:
    """An image over the whole width of a plot, by its rows of red, green and blue (0 to 255)."""
    image = b64encode(_encode_png(pixels)).decode()
    return element(
        "image",
        x=plot.left,
        y=plot.bottom - height,
        width=plot.width,
        height=height,
        preserveAspectRatio="none",
        style="image-rendering:pixelated",
        href=f"data:image/png;base64,{image}",
    )


def _encode_png(pixels: Sequence[Sequence[tuple[int, int, int]]]) -> bytes:
    """Source: the PNG specification (W3C), eight bits a colour, no filter."""
    header = struct.pack(">IIBBBBB", len(pixels[0]), len(pixels), 8, 2, 0, 0, 0)
    lines = b"".join(b"\0" + bytes(part for pixel in row for part in pixel) for row in pixels)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_pack_chunk(*chunk) for chunk in chunks)


def _pack_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def find_ticks(most: float, count: int) -> Iterator[float]:
    """Round numbers from 0 up to `most`, at most so many steps of 1, 2 or 5 with zeros."""
    step, sizes = 10.0**-6, (2.0, 2.5, 2.0)
    number = 0
    while most / step > count:
        step *= sizes[number % 3]
        number += 1
    return (at * step for at in range(int(most / step + 1e-9) + 1))
