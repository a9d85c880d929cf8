"""Sizes of images from the heads of their files: as Pillow reads them, and in few steps whatever a file holds."""

from __future__ import annotations

import io
import random
import struct
import zlib

import PIL.Image
import PIL.ImageCms
import PIL.PngImagePlugin
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lines_run import lines_run

from cortex.edge.image_heads import MOST_STEPS, TYPES, size_of

NOISE = random.Random(1).randbytes(300_000)


def saved(kind: str, size: tuple[int, int] = (37, 21), mode: str = "RGB", **options) -> bytes:
    out = io.BytesIO()
    PIL.Image.new(mode, size).save(out, kind, **options)
    return out.getvalue()


def exif() -> bytes:
    """Almost as much as fits, as phones write it with a preview of the picture."""
    tags = PIL.Image.Exif()
    tags[0x010F], tags[0x0112], tags[0x927C] = "A maker", 6, NOISE[:60_000]
    return tags.tobytes()


def text_chunks() -> PIL.PngImagePlugin.PngInfo:
    info = PIL.PngImagePlugin.PngInfo()
    info.add_text("XML:com.adobe.xmp", "x" * 5_000)
    return info


FRAMES = [PIL.Image.new("P", (50, 40), colour) for colour in (1, 2, 3)]
FILES = {
    "png": ("image/png", saved("PNG", pnginfo=text_chunks())),
    "png in grey with alpha": ("image/png", saved("PNG", mode="LA")),
    "moving png": ("image/png", saved("PNG", (50, 40), save_all=True, append_images=FRAMES)),
    "jpeg": ("image/jpeg", saved("JPEG")),
    "a phone's jpeg": (
        "image/jpeg",
        saved("JPEG", (4032, 3024), exif=exif(), icc_profile=NOISE, comment=b"c" * 60_000, quality=20),
    ),
    "progressive jpeg": ("image/jpeg", saved("JPEG", progressive=True, optimize=True)),
    "jpeg in four inks": ("image/jpeg", saved("JPEG", mode="CMYK")),
    "gif": ("image/gif", saved("GIF", mode="P")),
    "moving gif with a comment": (
        "image/gif",
        saved("GIF", (50, 40), "P", save_all=True, append_images=FRAMES, loop=0, comment=b"c" * 20_000),
    ),
    "webp": ("image/webp", saved("WEBP")),
    "webp without loss": ("image/webp", saved("WEBP", lossless=True)),
    "webp with alpha": ("image/webp", saved("WEBP", mode="RGBA", icc_profile=NOISE, exif=exif())),
    "moving webp": ("image/webp", saved("WEBP", (50, 40), save_all=True, append_images=FRAMES)),
    "wide webp": ("image/webp", saved("WEBP", (16_383, 1), lossless=True)),
}


@pytest.mark.parametrize("name", FILES)
def test_sizes_are_read_as_pillow_reads_them(name: str) -> None:
    """Previews, profiles and comments that lie in front are stepped over."""
    mime, data = FILES[name]
    with PIL.Image.open(io.BytesIO(data)) as image:
        assert size_of(data, mime) == image.size


@pytest.mark.parametrize("name", FILES)
def test_an_image_of_another_type_is_none(name: str) -> None:
    """And so is a file that ends before it tells its size."""
    mime, data = FILES[name]
    assert [other for other in TYPES if size_of(data, other)] == [mime]
    assert size_of(data[:20], mime) is None


def test_a_first_frame_may_be_larger_than_a_gifs_screen() -> None:
    """A decoder makes room for it, so it counts."""
    data = (
        b"GIF89a"
        + struct.pack("<HHBBB", 1, 1, 0, 0, 0)
        + b","
        + struct.pack("<HHHH", 5, 0, 60_000, 9)
        + b"\0"
    )
    assert size_of(data, "image/gif") == (60_005, 9)


def test_an_image_without_pixels_is_none() -> None:
    """Nobody could show it."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 0, 5, 8, 2, 0, 0, 0)
    assert size_of(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head, "image/png") is None


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize(
    ("mime", "head", "unit"),
    [
        ("image/jpeg", b"\xff\xd8", b"\xff\xe0\x00\x02"),
        ("image/jpeg", b"\xff\xd8", b"\xff"),
        ("image/jpeg", b"\xff\xd8\xff\xd8", b"\0\xff\xd0"),
        ("image/jpeg", b"\xff\xd8\xff\xd8", b"\0"),
        ("image/gif", b"GIF89a\1\0\1\0\0\0\0", b"\x21\xfe\1a\0"),
        ("image/gif", b"GIF89a\1\0\1\0\0\0\0\x21\xfe", b"\1a"),
        ("image/png", b"\x89PNG\r\n\x1a\n", chunk(b"abCd", b"")),
        ("image/webp", b"RIFF\0\0\0\0WEBP", b"VP8X"),
    ],
)
def test_no_file_takes_more_than_a_few_thousand_steps(mime: str, head: bytes, unit: bytes) -> None:
    """Empty pieces by the million were half a minute."""
    data = head + unit * 300_000
    assert lines_run(lambda: size_of(data, mime)) < 12 * MOST_STEPS


@given(
    st.sampled_from(sorted(FILES)),
    st.integers(0, 200),
    st.binary(min_size=1, max_size=4),
    st.integers(0, 400),
)
def test_no_damage_is_more_than_no_size(name: str, at: int, damage: bytes, end: int) -> None:
    """Whatever stands in a head, the answer is a size or none."""
    mime, data = FILES[name]
    found = size_of((data[:at] + damage + data[at + len(damage) :])[:end], mime)
    assert found is None or min(found) > 0
