"""Images: what is taken, what is refused before anything decodes it, and what a model without eyes is shown."""

from __future__ import annotations

import base64
import io
import struct
import zlib

import PIL.Image
import pytest

from cortex.edge import images
from cortex.edge.images import MAX_IMAGES, OMITTED, Images, detached, for_model
from cortex.protocol.faults import Code, FaultError
from cortex.protocol.request import Chat, Image, Part, Text, Turn


def picture(kind: str = "PNG", size: tuple[int, int] = (3, 2)) -> bytes:
    out = io.BytesIO()
    PIL.Image.new("RGB", size, "red").save(out, kind)
    return out.getvalue()


def huge(size: int = 100_000) -> bytes:
    """The head of a PNG that says it has so many pixels on each side."""
    head = b"IHDR" + struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


def from_url(address: str, at: str, *, fresh: bool) -> Part:
    return Images(1).from_url(address, at, fresh=fresh)


def url(data: bytes, mime: str = "image/png") -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_images_of_these_types_are_taken(kind: str) -> None:
    """Their bytes are carried as they came."""
    data = picture(kind)
    assert from_url(url(data, f"image/{kind.lower()}"), "x", fresh=True) == Image(
        attachment=0, mime=f"image/{kind.lower()}", data=data, fresh=True
    )


DATA = base64.b64encode(picture("JPEG")).decode()


@pytest.mark.parametrize(
    "address",
    [
        f"data:image/jpeg;charset=utf-8;base64,{DATA}",
        f"DATA:image/jpeg;name=a.jpg;BASE64,{DATA}",
        f"data:image/jpg;base64,{DATA}",
        f"data:image/jpeg;base64,{DATA[:76]}\r\n{DATA[76:]}\n",
    ],
)
def test_data_urls_are_taken_as_programs_write_them(address: str) -> None:
    """With parameters, in lines, and with the name that many give to JPEG."""
    assert from_url(address, "x", fresh=False) == Image(attachment=0, mime="image/jpeg", data=picture("JPEG"))


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        ("https://example.org/a.png", Code.UNSUPPORTED, "no address is fetched"),
        ("file:///etc/passwd", Code.UNSUPPORTED, "no address is fetched"),
        ("data:image/png,abc", Code.INVALID_REQUEST, "no data URL in base64"),
        ("data:image/png;base64", Code.INVALID_REQUEST, "no data URL in base64"),
        ("data:image/svg+xml;base64,PHN2Zy8+", Code.UNSUPPORTED, "must be one of image/png"),
        ("data:image/png;base64,%%%%", Code.INVALID_REQUEST, "not valid base64"),
        ("data:image/png;base64,aGk=", Code.INVALID_REQUEST, "no image of type image/png"),
        (url(picture("GIF")), Code.INVALID_REQUEST, "no image of type image/png"),
        (url(picture()[:20]), Code.INVALID_REQUEST, "no image of type image/png"),
        (url(huge()), Code.INVALID_REQUEST, "has 100000 x 100000 pixels"),
        (url(huge(60_000)), Code.INVALID_REQUEST, "has 60000 x 60000 pixels; send at most 40 million"),
        ("data:" + "x" * 300 + ";base64,aGk=", Code.INVALID_REQUEST, "no data URL in base64"),
        ("data:image/png;base64,\u00e4", Code.INVALID_REQUEST, "not valid base64"),
    ],
)
def test_what_is_no_image_is_refused_where_it_was_just_sent(address: str, code: Code, words: str) -> None:
    """One sentence that names the field; anywhere else a word stands for it, so that a conversation goes on."""
    with pytest.raises(FaultError, match=words) as caught:
        from_url(address, "messages[0].content[1].image_url", fresh=True)
    assert caught.value.fault.code is code
    assert caught.value.fault.message.startswith("messages[0].content[1].image_url ")
    assert from_url(address, "x", fresh=False) == OMITTED


def test_too_many_bytes_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The length of the text is enough to tell."""
    monkeypatch.setattr(images, "MAX_BYTES", 30)
    with pytest.raises(FaultError, match="larger than"):
        Images(1).from_base64("!" * 100, "image/png", "x", fresh=True)


def test_too_many_pixels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few bytes may be many pixels."""
    monkeypatch.setattr(images, "MAX_PIXELS", 5)
    with pytest.raises(FaultError, match="has 3 x 2 pixels"):
        from_url(url(picture()), "x", fresh=True)


IMAGE = Image(attachment=0, mime="image/png", data=b"one")
SENT = Image(attachment=0, mime="image/png", data=b"one", fresh=True)
OTHER = Image(attachment=0, mime="image/gif", data=b"two")


def chat(*turns: Turn) -> Chat:
    return Chat(model="blind", turns=turns)


def test_a_model_that_sees_nothing_is_told_of_older_images() -> None:
    """In older turns and in results of tools a word stands for each, so that no conversation ends with one."""
    asked = chat(
        Turn(role="user", parts=(IMAGE, Text(text="a"))),
        Turn(role="assistant", parts=(Text(text="b"),)),
        Turn(role="user", parts=(Text(text="c"),)),
        Turn(role="tool", parts=(OTHER,), tool_call_id="1"),
    )
    shown = for_model(asked, sees=False)
    assert [turn.text for turn in shown.turns] == ["[image omitted]\na", "b", "c", "[image omitted]"]
    assert detached(shown) == (shown, ())


def test_an_image_that_was_just_sent_to_it_is_refused() -> None:
    """Saying nothing would make the model guess; the error names the model."""
    asked = chat(Turn(role="user", parts=(SENT,)))
    with pytest.raises(FaultError, match="holds an image, and blind sees none"):
        for_model(asked, sees=False)
    assert for_model(asked, sees=False, refuses=False).turns[0].parts == (OMITTED,)


def test_images_travel_beside_the_request() -> None:
    """For a model that sees, in the order of their attachments, behind the request itself."""
    asked = chat(Turn(role="user", parts=(SENT, Text(text="a"))), Turn(role="tool", parts=(OTHER,)))
    travels, found = detached(for_model(asked, sees=True))
    assert found == (b"one", b"two")
    assert travels.turns[0].parts[0] == Image(attachment=1, mime="image/png")
    assert travels.turns[1].parts == (Image(attachment=2, mime="image/gif"),)


def test_of_too_many_images_the_newest_are_read() -> None:
    """A conversation goes on whatever it has gathered; what stands for the older ones is said in a word."""
    reader = Images(MAX_IMAGES + 2)
    address = url(picture())
    found = [reader.from_url(address, "x", fresh=False) for _ in range(MAX_IMAGES + 2)]
    assert [isinstance(one, Image) for one in found] == [False] * 2 + [True] * MAX_IMAGES


def test_too_many_that_were_just_sent_are_refused() -> None:
    """The error says how many there may be."""
    with pytest.raises(FaultError, match="is one of 33 images; send at most 32"):
        Images(MAX_IMAGES + 1).from_base64("", "image/png", "messages[0].content[0].source", fresh=True)
