# SPDX-License-Identifier: Apache-2.0
"""The keys of the window: which does what, and the words of the help that it shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    """A key.

    Attributes:
        characters: That mean it.
        shown: In the help.
        action: A method of `LiveMatter`.
        does: In the help.
    """

    characters: str
    shown: str
    action: str
    does: str


KEYS = (
    Key("q\x1b", "q, Esc", "stop", "quit"),
    Key(" ", "space", "toggle_pause", "pause"),
    Key("m", "m", "toggle_mirror", "mirror"),
    Key("b", "b", "next_background", "next background"),
    Key("a", "a", "toggle_alpha_view", "show the alpha"),
    Key("o", "o", "toggle_overlay", "figures"),
    Key("r", "r", "toggle_recording", "start or stop recording"),
    Key("s", "s", "snapshot", "save a picture"),
    Key("h", "h", "toggle_help", "these keys"),
)


def action_of(character: str) -> str | None:
    """The method of `LiveMatter` that a key asks for; capitals mean the same. None: no such key."""
    return next((key.action for key in KEYS if character.lower() in key.characters), None) if character else None


def help_lines() -> list[str]:
    """The keys in words."""
    return [f"{key.shown}  {key.does}" for key in KEYS]
