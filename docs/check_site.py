"""Look the built site over: links, anchors, images, nothing from outside; and in a browser, where there is one.

    python docs/check_site.py                              docs/_build/html
    python docs/check_site.py --shots docs/_build/shots    and pictures of some pages, light and dark, narrow and wide

Needs no network. Where Chromium is found, every page is opened in it, narrow and wide: messages on its console, images
that do not show and pages wider than their window are faults. Without it this is said, and left out. Exits with 1 if
there is a fault.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

BUILT = Path(__file__).resolve().parent / "_build" / "html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--allow-file-access-from-files",  # the viewer looks into its frame
)
# what asks for the outside fails, and says so on the console
NO_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND"
WIDTHS = {"narrow": 390, "wide": 1280}
SCHEMES = {"dark": 0, "light": 1}  # Blink's numbers
SHOTS = ("index", "start_fmri", "choosing", "method", "maps", "evidence", "peers", "generator", "api/linear")
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}
STYLE_URL = re.compile(r"""(?:url\(\s*|@import\s+)["']?(?:https?:)?//""")

# Opens every page in a frame of each width and writes what it sees; one browser for all of them.
VIEWER = """<!doctype html><title>viewer</title>
<iframe id="f" height="900" style="border:0"></iframe><pre id="seen"></pre>
<script>
const jobs = %s, seen = [], frame = document.getElementById("f");
function next() {
  if (!jobs.length) { document.getElementById("seen").textContent = JSON.stringify(seen); return; }
  const [page, width] = jobs.shift();
  frame.width = width;
  frame.onload = () => {
    const doc = frame.contentDocument;
    const broken = [...doc.images].filter(i => i.complete && !i.naturalWidth && i.loading != "lazy");
    seen.push([page, width, doc.documentElement.scrollWidth, broken.map(i => i.getAttribute("src"))]);
    next();
  };
  frame.src = page;
}
next();
</script>"""


@dataclass
class Page(HTMLParser):
    """What one page points to, loads, and can be pointed to."""

    path: Path
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note ids, links, and what is loaded."""
        said = {name: value or "" for name, value in attrs}
        self.ids.update(said[name] for name in ("id", "name") if said.get(name))
        self.styles.append(said.get("style", ""))
        if tag == "a" and "href" in said:
            self.links.append(said["href"])
        elif tag == "link" and said.get("rel") in ("stylesheet", "icon", "preload", "shortcut icon"):
            self.loads.append(said.get("href", ""))
        elif said.get(LOADED.get(tag, "")):
            self.loads.append(said[LOADED[tag]])

    def handle_data(self, data: str) -> None:
        """Note inline styles."""
        if self.lasttag == "style":
            self.styles.append(data)


def link_faults(site: Path) -> tuple[list[str], int]:
    """Links, anchors, images, scripts and styles that lead nowhere or outside; and how many were followed."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    faults, count = [], 0
    for path, page in pages.items():
        where = path.relative_to(site)
        for target in page.loads:
            count += 1
            if urlsplit(target).scheme in ("http", "https") or target.startswith("//"):
                faults.append(f"{where}: loads {target} from outside")
            else:
                faults += _leads_nowhere(target, path, pages, site)
        for target in page.links:
            count += 1
            faults += _leads_nowhere(target, path, pages, site)
        faults += [f"{where}: a style loads from outside" for style in page.styles if STYLE_URL.search(style)]
    for path in site.rglob("*.css"):
        if STYLE_URL.search(path.read_text(encoding="utf-8")):
            faults.append(f"{path.relative_to(site)}: loads from outside")
    return faults, count


def _leads_nowhere(target: str, path: Path, pages: dict[Path, Page], site: Path) -> list[str]:
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return []  # leads outside, which a link may; whether it is answered there is not asked
    file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    file = file / "index.html" if file.is_dir() else file
    where = path.relative_to(site)
    if not file.is_file():
        return [f"{where}: {target} leads to no file"]
    anchor = unquote(parts.fragment)
    if anchor and file in pages and anchor not in pages[file].ids:
        return [f"{where}: {target} leads to no anchor"]
    return []


def browser() -> str | None:
    """Path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def browser_faults(program: str, site: Path) -> tuple[list[str], int]:
    """What Chromium says against the pages, and how many views it saw."""
    paths = sorted(site.rglob("*.html"))
    jobs = [(path.as_uri(), width) for path in paths for width in WIDTHS.values()]
    with tempfile.TemporaryDirectory() as folder:
        viewer = Path(folder) / "viewer.html"
        viewer.write_text(VIEWER % json.dumps(jobs), encoding="utf-8")
        options = [
            "--enable-logging=stderr",
            "--v=0",
            f"--virtual-time-budget={1000 + 200 * len(jobs)}",
            "--window-size=1300,1000",
        ]
        done = _chromium(program, folder, *options, "--dump-dom", viewer.as_uri())
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    seen = json.loads(html.unescape(found[1])) if found and found[1] else []
    faults = [f"console: {line}" for line in done.stderr.splitlines() if "CONSOLE" in line]
    if len(seen) != len(jobs):
        faults.append(f"the browser saw {len(seen)} of {len(jobs)} views")
    for page, width, needed, broken in seen:
        where = f"{page.removeprefix(site.as_uri() + '/')} at {width} px"
        if needed > width:
            faults.append(f"{where}: {needed} px wide")
        faults += [f"{where}: {image} does not show" for image in broken]
    return faults, len(seen)


def shoot(program: str, site: Path, folder: Path, pages: list[str], height: int) -> list[Path]:
    """Write PNG of pages, light and dark, narrow and wide."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for page in pages:
        for scheme, number in SCHEMES.items():
            for name, width in WIDTHS.items():
                made.append(folder / f"{page.replace('/', '-')}-{scheme}-{name}.png")
                _shot(program, (site / f"{page}.html").as_uri(), made[-1], number, (width, height))
    return made


def _shot(program: str, page: str, out: Path, scheme: int, size: tuple[int, int]) -> None:
    # a window is never narrower than about 500 px, a frame may be
    frame = (
        f'<body style="margin:0"><iframe src="{page}" width="{size[0]}" height="{size[1]}" style="border:0">'
    )
    with tempfile.TemporaryDirectory() as folder:
        viewer = Path(folder) / "viewer.html"
        viewer.write_text(frame, encoding="utf-8")
        look = f"--blink-settings=preferredColorScheme={scheme}"
        window = f"--window-size={max(size[0], 500)},{size[1]}"
        _chromium(program, folder, look, window, f"--screenshot={out.resolve()}", viewer.as_uri())
    _cropped(out, size)


def _cropped(out: Path, size: tuple[int, int]) -> None:
    from PIL import Image

    with Image.open(out) as image:
        cut = image.crop((0, 0, *size))
    cut.save(out)


def _chromium(program: str, folder: str, *options: str) -> subprocess.CompletedProcess[str]:
    profile = f"--user-data-dir={Path(folder) / 'profile'}"
    command = [program, *FLAGS, NO_NETWORK, profile, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("site", nargs="?", type=Path, default=BUILT)
    parser.add_argument("--no-browser", action="store_true", help="links alone")
    parser.add_argument("--shots", type=Path, metavar="FOLDER", help="write pictures of pages there")
    parser.add_argument("--pages", nargs="+", default=list(SHOTS), metavar="NAME", help="of --shots")
    parser.add_argument("--height", type=int, default=1600, help="of a picture, in pixels")
    args = parser.parse_args()
    site = args.site.resolve()
    faults, count = link_faults(site)
    print(f"links, anchors, images, scripts and styles: {count} followed")
    program = None if args.no_browser else browser()
    if program:
        seen_faults, views = browser_faults(program, site)
        faults += seen_faults
        print(f"{Path(program).name}: {views} views of pages")
        if args.shots:
            print(
                f"{len(shoot(program, site, args.shots, args.pages, args.height))} pictures in {args.shots}"
            )
    else:
        print("no browser: console, overflow and pictures were not looked at")
    print(*sorted(set(faults)), sep="\n", end="\n" if faults else "")
    return int(bool(faults))


if __name__ == "__main__":
    raise SystemExit(main())
