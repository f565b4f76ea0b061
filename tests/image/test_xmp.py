# SPDX-License-Identifier: Apache-2.0
"""XMP: what describes an image stays with its result; what describes one file, or shows the background, does not."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from rmbg_trt.image import encode_image, load_pil, read_image

PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/" xmlns:own="http://example.com/own/"
 xmp:Rating="4" tiff:Orientation="6" photoshop:Credit="Agency" photoshop:ICCProfile="Display P3" own:depth="secret">
 <dc:creator><rdf:Seq><rdf:li>Søren</rdf:li></rdf:Seq></dc:creator>
 <dc:title><rdf:Alt><rdf:li xml:lang="x-default">Old &amp; new</rdf:li></rdf:Alt></dc:title>
 <xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType="Resource"><xmpGImg:image>/9j/AAAA</xmpGImg:image></rdf:li></rdf:Alt>
 </xmp:Thumbnails>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>""".encode()
RESULTS = [("png", "cutout"), ("webp", "cutout"), ("tiff", "cutout"), ("jpg", "composite"), ("png", "alpha")]
SHAPES = {"cutout": (9, 13, 4), "composite": (9, 13, 3), "alpha": (9, 13)}


def photograph(format: str, packet: bytes) -> bytes:
    file, options = io.BytesIO(), dict[str, Any](xmp=packet)
    if format == "PNG":
        options = {"pnginfo": PngImagePlugin.PngInfo()}
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", packet.decode())
    elif format == "TIFF":
        options = {"tiffinfo": {700: packet}}
    Image.new("RGB", (13, 9), (200, 90, 30)).save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize("source", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(("format", "output"), RESULTS)
def test_what_describes_the_image_is_kept(source: str, format: Any, output: str) -> None:
    image = read_image(photograph(source, PACKET))
    with Image.open(io.BytesIO(encode_image(np.zeros(SHAPES[output], np.uint8), format, like=image))) as result:
        raw = result.info["xmp"]
    (description,) = ElementTree.fromstring(raw).iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    found = {**description.attrib, **{child.tag: "".join(child.itertext()) for child in description}}
    assert {name.partition("}")[2]: value.strip() for name, value in found.items()} == {
        "about": "",
        "Rating": "4",
        "Credit": "Agency",
        "creator": "Søren",
        "title": "Old & new",
    }
    assert b'<rdf:li xml:lang="x-default">' in raw
    assert raw.startswith(b"<?xpacket begin=")
    assert raw.endswith(b'<?xpacket end="w"?>')


def test_a_pil_result_has_it() -> None:
    with Image.open(io.BytesIO(photograph("JPEG", PACKET))) as image:
        assert b"Agency" in (load_pil(image).xmp or b"")


@pytest.mark.parametrize(
    "packet",
    [
        PACKET[:300],
        b"not XML",
        b"\xff\xfe<\0x\0",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&b;</x:xmpmeta>',
        PACKET + b" " * (1 << 20) + b"<!-- -->",
    ],
)
def test_damaged_xmp_is_dropped_with_a_warning(packet: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert read_image(photograph("WEBP", packet)).xmp is None
    assert "damaged XMP data is dropped" in caplog.text


@pytest.mark.parametrize("packet", [PACKET.replace(b"dc/elements", b"x").replace(b"xap/1.0", b"y"), b" \n\0"])
def test_nothing_is_made_of_nothing(packet: bytes, caplog: pytest.LogCaptureFixture) -> None:
    packet = packet.replace(b"photoshop/1.0", b"z")
    with caplog.at_level(logging.WARNING):
        assert read_image(photograph("WEBP", packet)).xmp is None
    assert not caplog.text


def test_too_much_for_a_jpeg(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = read_image(photograph("WEBP", PACKET.replace("Søren".encode(), b"S" * 70_000)))
    with Image.open(io.BytesIO(encode_image(np.zeros((9, 13, 3), np.uint8), "jpg", like=image))) as result:
        assert "xmp" not in result.info
    assert "the XMP data is too long for a JPEG" in caplog.text
    assert b"SSSS" in encode_image(np.zeros((9, 13), np.uint8), "png", like=image)
