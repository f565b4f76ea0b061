# SPDX-License-Identifier: Apache-2.0
"""The controls of a run that change one setting each; any thread may call them."""

from __future__ import annotations

from .options import Switches


class Controls:
    """Methods that change `Switches`.

    Attributes:
        switches: The settings.
    """

    switches: Switches

    def toggle_pause(self) -> None:
        """Pause or resume."""
        self.switches.paused = not self.switches.paused

    def toggle_mirror(self) -> None:
        """Swap left and right from the next frame on."""
        self.switches.mirror = not self.switches.mirror

    def next_background(self) -> None:
        """Switch to the next background; the first follows the last."""
        self.switches.background += 1

    def toggle_alpha_view(self) -> None:
        """Show the alpha in the window, or the result. Other sinks always get the result."""
        self.switches.alpha_view = not self.switches.alpha_view

    def toggle_overlay(self) -> None:
        """Show or hide the statistics in the window."""
        self.switches.overlay = not self.switches.overlay

    def toggle_help(self) -> None:
        """Show or hide the keys in the window."""
        self.switches.help = not self.switches.help
