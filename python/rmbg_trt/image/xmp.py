# SPDX-License-Identifier: Apache-2.0
"""XMP: keeps who made an image, its rights, caption, keywords and rating.

The rest is dropped, because it describes how one file stores its pixels, or shows the background that was removed
(thumbnails).

Source: Adobe, XMP Specification, parts 1 to 3; IPTC, Photo Metadata Standard.
"""

from __future__ import annotations

import logging
from xml.etree import ElementTree

from PIL import Image

log = logging.getLogger(__name__)

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_META = "{adobe:ns:meta/}xmpmeta"
_BASIC, _PHOTOSHOP = "http://ns.adobe.com/xap/1.0/", "http://ns.adobe.com/photoshop/1.0/"
_IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_DESCRIPTIVE = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "cc": "http://creativecommons.org/ns#",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": _IPTC_EXTENSION,
    "photoshop": _PHOTOSHOP,
}
_ONLY = {_BASIC: {"CreateDate", "CreatorTool", "Label", "Rating"}}
_NOT = {
    _PHOTOSHOP: {"ColorMode", "ICCProfile", "History", "DocumentAncestors", "TextLayers", "SidecarForExtension"},
    _IPTC_EXTENSION: {"ImageRegion"},  # in pixels, or before the image is turned
}
_LARGEST = 1 << 20

for _prefix, _namespace in {**_DESCRIPTIVE, "xmp": _BASIC, "x": _META[1:-8], "rdf": _RDF[1:-1]}.items():
    ElementTree.register_namespace(_prefix, _namespace)


def read_xmp(image: Image.Image) -> bytes | None:
    """The descriptive part of an image's XMP packet; None if there is none, or, with a warning, if it is damaged."""
    packet = image.info.get("xmp")
    if isinstance(packet, str):
        packet = packet.encode()
    if not isinstance(packet, bytes) or not packet.strip(b"\0 \r\n\t"):
        return None
    try:
        return _descriptive(packet.strip(b"\0 \r\n\t"))
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        log.warning("damaged XMP data is dropped: %s", error)
        return None


def _descriptive(packet: bytes) -> bytes | None:
    if len(packet) > _LARGEST:
        raise ValueError("it is larger than 1 MiB")
    if b"\0" in packet or b"<!" in packet.replace(b"<!--", b""):  # entities can be made to grow without end
        raise ValueError("it is not UTF-8, or defines entities")
    kept = ElementTree.Element(f"{_RDF}Description", {f"{_RDF}about": ""})
    root = ElementTree.fromstring(packet)
    for description in (each for rdf in root.iter(f"{_RDF}RDF") for each in rdf.findall(f"{_RDF}Description")):
        for name, value in description.items():
            if _is_descriptive(name):
                kept.set(name, value)
        kept.extend(child for child in description if _is_descriptive(child.tag))
    if len(kept) == 0 and len(kept.keys()) == 1:
        return None
    meta = ElementTree.Element(_META)
    ElementTree.SubElement(meta, f"{_RDF}RDF").append(kept)
    begin = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    return f'{begin}{ElementTree.tostring(meta, encoding="unicode")}<?xpacket end="w"?>'.encode()


def _is_descriptive(tag: str) -> bool:
    namespace, _, name = tag.removeprefix("{").rpartition("}")
    if namespace in _ONLY:
        return name in _ONLY[namespace]
    return namespace in _DESCRIPTIVE.values() and name not in _NOT.get(namespace, ())
