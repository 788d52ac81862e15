"""Between the loop's thread and the browsers: newest frames out, checked messages in, one at the controls."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from demos.teleop.console import GONE_S, Console
from demos.teleop.session import Frame

# Messages of one browser: the page sends thirty, and one a frame of the screen while the view is turned.
MOST_A_SECOND = 200


class Refused(ValueError):
    """A message that no page of ours sends."""


class Browser:
    """One connection: what is still to be sent to it, and how often it speaks."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self.heard_s = time.monotonic()
        self._second, self._heard = 0.0, 0

    def count(self) -> None:
        """Counts a message that has just come.

        Raises:
            Refused: If there are too many.
        """
        self.heard_s = now_s = time.monotonic()
        if now_s - self._second >= 1.0:
            self._second, self._heard = now_s, 0
        self._heard += 1
        if self._heard > MOST_A_SECOND:
            raise Refused(f"more than {MOST_A_SECOND} messages a second")


class Hub:
    """All browsers of a sitting. Lives in the server's event loop; `publish` may be called anywhere."""

    def __init__(self) -> None:
        self.console: Console | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._browsers: list[Browser] = []
        self._driver: Browser | None = None
        self.frame = Frame({"phase": "starting"}, {})

    def publish(self, frame: Frame) -> None:
        """Makes a frame the newest; whoever has not had the one before never gets it."""
        self.frame = frame
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def join(self) -> Browser:
        """A browser has come; the first one has the controls."""
        self._loop = asyncio.get_running_loop()
        browser = Browser()
        self._browsers.append(browser)
        if self._is_free():
            self._driver = browser
        browser.news.set()
        return browser

    def leave(self, browser: Browser) -> None:
        """A browser has gone. Its controls are free, and the arm holds still for want of commands."""
        self._browsers.remove(browser)
        if self._driver is browser:
            self._driver = None
        self._wake()

    def told(self, browser: Browser) -> dict[str, Any]:
        """The state as one browser is told it."""
        driver = self._driver
        return {**self.frame.state, "driving": driver is browser, "driven": not self._is_free()}

    def hear(self, browser: Browser, text: str) -> None:
        """Carries out a message.

        Raises:
            Refused: If it is not what our page sends.
        """
        message = parsed(text)
        if message["type"] == "drive":
            if self._is_free():
                self._driver = browser
                self._wake()
            return
        if self._driver is not browser or self.console is None:
            return  # Watchers only watch.
        try:
            HANDLERS[message["type"]](self.console, message)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise Refused(f"{message['type']}: {error}") from error

    def _is_free(self) -> bool:
        """Whether nobody has the controls, or whose network went away without a word."""
        return self._driver is None or time.monotonic() - self._driver.heard_s > GONE_S

    def _wake(self) -> None:
        for browser in self._browsers:
            browser.news.set()


HANDLERS: dict[str, Callable[[Console, dict[str, Any]], None]] = {
    "here": lambda console, said: console.here(),
    "move": lambda console, said: console.move(said["axes"], said["limb"]),
    "grip": lambda console, said: console.grip(said["closed"] is True, said["limb"]),
    "shape": lambda console, said: console.shape(said["fingers"], said["limb"]),
    "look": lambda console, said: console.look_from(
        said["camera"], said["azimuth_deg"], said["elevation_deg"], said["distance_m"]
    ),
    "order": lambda console, said: console.ask(said["order"]),
}


def parsed(text: str) -> dict[str, Any]:
    """A message as an object with a type that is known.

    Raises:
        Refused: If it is none.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(f"no JSON: {error}") from error
    kinds = ("drive", *HANDLERS)
    if not isinstance(message, dict) or message.get("type") not in kinds:  # pyright: ignore[reportUnknownMemberType]
        raise Refused(f"expected an object whose type is one of {', '.join(kinds)}")
    return message  # pyright: ignore[reportUnknownVariableType]
