# SPDX-License-Identifier: Apache-2.0
"""Writes the display size of non-square pixels into a finished Matroska or WebM file, which PyAV cannot do.

The muxer leaves an empty element (Void) near the beginning. It becomes as much smaller as the track becomes larger, so
that nothing after the tracks moves.

Source: RFC 8794 (EBML) and RFC 9559 (Matroska).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_SEGMENT, _SEEK_HEAD, _VOID, _INFO, _TRACKS = 0x18538067, 0x114D9B74, 0xEC, 0x1549A966, 0x1654AE6B
_SEEK, _SEEK_ID, _SEEK_POSITION, _TRACK, _VIDEO, _CRC = 0x4DBB, 0x53AB, 0x53AC, 0xAE, 0xE0, 0xBF
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
_DISPLAY = (_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT)  # pixels are the default unit
_LONGEST_HEAD = 1 << 20

Element = tuple[int, int, int, int]  # id, where it begins, where its content begins, where it ends


def set_display_size(path: Path, width: int, height: int) -> bool:
    """Sets the size at which the first track of a file is shown.

    Args:
        path: The file, as FFmpeg wrote it.
        width: In square pixels.
        height: In square pixels.

    Returns:
        Whether it was done; if not, the file is as before.
    """
    with path.open("r+b") as file:
        return _set(file, width, height)


def _set(file: IO[bytes], width: int, height: int) -> bool:
    data = file.read(_LONGEST_HEAD)
    segment = next((one for one in _elements(data, 0, len(data)) if one[0] == _SEGMENT), None)
    if segment is None:
        return False
    found = {}
    for element in _elements(data, segment[2], len(data)):
        found[element[0]] = element
        if element[0] == _TRACKS:
            break
    if list(found)[:4] != [_SEEK_HEAD, _VOID, _INFO, _TRACKS] or found[_TRACKS][3] > len(data):
        return False
    display = _element(_DISPLAY_WIDTH, width.to_bytes(4, "big")) + _element(_DISPLAY_HEIGHT, height.to_bytes(4, "big"))
    tracks = _with_display(data, found[_TRACKS], display)
    growth = len(tracks) - (found[_TRACKS][3] - found[_TRACKS][1])
    _, void, _, void_end = found[_VOID]
    left = void_end - void - growth
    if left < 9:
        return False
    seek_head = _with_moved(data, found[_SEEK_HEAD], growth)
    smaller = bytes([_VOID]) + (left - 9 | 1 << 56).to_bytes(8, "big") + bytes(left - 9)
    file.seek(found[_SEEK_HEAD][1])
    file.write(seek_head + data[found[_SEEK_HEAD][3] : void] + smaller + data[void_end : found[_TRACKS][1]] + tracks)
    return True


def _elements(data: bytes, start: int, end: int) -> Iterator[Element]:
    while start < end:
        identifier, id_length = _number(data, start, marked=True)
        size, size_length = _number(data, start + id_length, marked=False)
        content = start + id_length + size_length
        yield identifier, start, content, content + size
        start = content + size


def _number(data: bytes, at: int, *, marked: bool) -> tuple[int, int]:
    """A number of variable length, with or without the bit that marks its length; and its length."""
    length = 9 - data[at].bit_length() if data[at] else 8
    value = int.from_bytes(data[at : at + length], "big")
    return value if marked else value & ((1 << 7 * length) - 1), length


def _element(identifier: int, content: bytes) -> bytes:
    size = len(content) | 1 << 56  # eight bytes, whatever the size
    return identifier.to_bytes((identifier.bit_length() + 7) // 8, "big") + size.to_bytes(8, "big") + content


def _with_display(data: bytes, tracks: Element, display: bytes) -> bytes:
    content, done = b"", False
    for track in _elements(data, tracks[2], tracks[3]):
        if track[0] == _TRACK and not done:
            content += _element(_TRACK, _with_display_of_video(data, track, display))
            done = True
        elif track[0] != _CRC:
            content += data[track[1] : track[3]]
    return _element(_TRACKS, _crc(content) + content if _has_checksum(data, tracks) else content)


def _with_display_of_video(data: bytes, track: Element, display: bytes) -> bytes:
    content = b""
    for part in _elements(data, track[2], track[3]):
        if part[0] == _VIDEO:
            video = _elements(data, part[2], part[3])
            kept = b"".join(data[one[1] : one[3]] for one in video if one[0] not in _DISPLAY)
            content += _element(_VIDEO, kept + display)
        else:
            content += data[part[1] : part[3]]
    return content


def _with_moved(data: bytes, seek_head: Element, growth: int) -> bytes:
    """The index of a file, where the elements between the Void and the tracks begin earlier. It keeps its length."""
    changed = bytearray(data[seek_head[1] : seek_head[3]])
    for seek in _elements(data, seek_head[2], seek_head[3]):
        parts = {one[0]: one for one in _elements(data, seek[2], seek[3])} if seek[0] == _SEEK else {}
        if parts and int.from_bytes(data[slice(*parts[_SEEK_ID][2:])], "big") in (_INFO, _TRACKS):
            begin, end = parts[_SEEK_POSITION][2:]
            moved = int.from_bytes(data[begin:end], "big") - growth
            changed[begin - seek_head[1] : end - seek_head[1]] = moved.to_bytes(end - begin, "big")
    if _has_checksum(data, seek_head):
        head = seek_head[2] - seek_head[1]
        changed[head : head + 6] = _crc(bytes(changed[head + 6 :]))
    return bytes(changed)


def _has_checksum(data: bytes, element: Element) -> bool:
    return data[element[2]] == _CRC


def _crc(content: bytes) -> bytes:
    return bytes([_CRC, 0x84]) + zlib.crc32(content).to_bytes(4, "little")
