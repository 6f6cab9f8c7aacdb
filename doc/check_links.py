"""Check all internal links of the built site, and the page of every public name.

Run ``python doc/check_links.py doc/_build/html``. Sphinx checks its own references;
this also follows those that come from the theme, raw HTML and included Markdown.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import skredu


class Page(HTMLParser):
    """Links in a page, and the anchors that it defines."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the links and anchors of a tag; preloads are hints, not links."""
        values = dict(attrs)
        names = ("href", "src") if tag != "link" else ("href",)
        self.links |= {value for name in names if (value := values.get(name))}
        if tag == "a" and values.get("name"):
            self.places.add(str(values["name"]))
        if values.get("id"):
            self.places.add(str(values["id"]))


def broken(site: Path) -> list[str]:
    """Return broken links as "page: link"."""
    # Among the static files, the theme keeps templates that have no links yet.
    paths = (path for path in site.rglob("*.html") if "_static" not in path.parts)
    pages = {path.resolve(): Page(path) for path in paths}
    bad = []
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve()
            if not parts.path:
                target = path
            if target.is_dir():
                target /= "index.html"
            place = unquote(parts.fragment)
            is_there = target.is_file() and (
                not place or target not in pages or place in pages[target].places
            )
            if not is_there:
                bad.append(f"{path.relative_to(site.resolve())}: {link}")
    return bad


def public_names() -> list[str]:
    """Return the names that need a page."""
    names = [name for name in skredu.__all__ if name != "__version__"]
    modules = [name for name in names if hasattr(getattr(skredu, name), "__path__")]
    modules += [name for name in names if name in {"datasets", "metrics", "rates"}]
    inside = [f"{m}.{name}" for m in modules for name in getattr(skredu, m).__all__]
    return [name for name in names if name not in modules] + inside


def missing(site: Path) -> list[str]:
    """Return missing pages of public names, and of links that estimators show."""
    wanted = [f"generated/skredu.{name}.html" for name in public_names()]
    for name in skredu.__all__:
        kind = getattr(skredu, name)
        if hasattr(kind, "_get_doc_link"):
            wanted.append(kind()._get_doc_link().partition("/stable/")[2])
    return [page for page in wanted if not (site / page).is_file()]


def main() -> int:
    """Print all problems, and return 1 if there are any."""
    site = Path(sys.argv[1])
    problems = [f"broken link: {link}" for link in broken(site)]
    problems += [f"no page: {page}" for page in missing(site)]
    n_pages = len(list(site.rglob("*.html")))
    print("\n".join([*problems, f"{n_pages} pages, {len(problems)} problems"]))
    return 1 if problems or not n_pages else 0


if __name__ == "__main__":
    sys.exit(main())
