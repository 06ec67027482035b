"""All pages, as the plugin registers them."""

from __future__ import annotations

from dagctl_provider.ui.frame import FramePages

VIEWS = (FramePages,)
