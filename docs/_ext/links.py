"""Checks a built site, file by file.

    python docs/_ext/links.py docs/_build/html

Every link within the site leads to a file, and to a place in it that exists. Nothing
that a page loads by itself (scripts, styles, fonts, pictures) is on another host. Links
to other sites are looked at but not followed: `scripts/docs --linkcheck` does that.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: What a browser loads without being asked to, by tag: the attributes that name it.
LOADED = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "link": ("href",),
}

#: What a style sheet loads from elsewhere.
FOREIGN = re.compile(r"""(?:url\(|@import\s)\s*["']?((?:https?:)?//[^"')\s]+)""")

#: The address of another host, or of a server that a page tells how to start.
HOST = re.compile(r"([\w-]+(\.[\w-]+)+|localhost)(:\d+)?")


class Page(HTMLParser):
    """What one page links to and loads, and the places in it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.places: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag says."""
        found = {name: value for name, value in attrs if value is not None}
        self.places |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        for name in LOADED.get(tag, ()):
            if name in found and found.get("rel") not in ("next", "prev"):
                self.loads.append(found[name])


@cache
def read(path: Path) -> Page:
    """A page, taken apart once."""
    return Page(path.read_text(encoding="utf-8"))


def dead(path: Path, link: str) -> str | None:
    """What is wrong with a link of a page, if anything."""
    parts = urlsplit(link)
    if parts.scheme in ("http", "https"):
        good = HOST.fullmatch(parts.netloc)
        return None if good and " " not in link else "is no address"
    if parts.scheme == "mailto":
        return None
    if parts.scheme or parts.netloc:
        return "is of a kind that no page here needs"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return "leads to no file"
    place = unquote(parts.fragment)
    if place and target.suffix == ".html" and place not in read(target).places:
        return "leads to no place in that page"
    return None


def faults(site: Path) -> list[str]:
    """Everything that is wrong, a line each."""
    site = site.resolve()
    found = []
    for path in sorted(site.rglob("*.html")):
        page, name = read(path), path.relative_to(site)
        for link in page.links:
            why = dead(path, link)
            if why:
                found.append(f"{name}: {link} {why}")
        for load in page.loads:
            if urlsplit(load).netloc:
                found.append(f"{name}: loads {load} from elsewhere")
            elif not load.startswith("data:") and dead(path, load):
                found.append(f"{name}: loads {load}, which is not there")
    for path in sorted(site.rglob("*.css")):
        name, text = path.relative_to(site), path.read_text(encoding="utf-8")
        found += [
            f"{name}: loads {load} from elsewhere" for load in FOREIGN.findall(text)
        ]
    return found


def main() -> int:
    """Print the faults, or how much was looked at."""
    site = Path(sys.argv[1])
    found = faults(site)
    pages = list(site.rglob("*.html"))
    if not pages:
        found = [f"{site} holds no page"]
    for line in found:
        sys.stderr.write(f"{line}\n")
    if found:
        return 1
    count = sum(len(read(path.resolve()).links) for path in pages)
    sys.stdout.write(f"{len(pages)} pages, {count:,} links, none of them dead\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
