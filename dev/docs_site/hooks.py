"""Hooks of mkdocs, so that one text serves the repository and the site.

The documents at the top of the repository become pages beside those of `docs/`. Links are written
as they have to be in the repository; here they are led to where the pages are in the site. What
has no page, such as a source file, is named and not linked.
"""

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = PurePosixPath("docs")
TOP_PAGES = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
HOME = "index.md"
# Where the repository has a page or folder of which the site has another form.
STANDS_FOR = {"README.md": HOME, "docs/decisions": "decisions/README.md"}
LINK = re.compile(r"\[(?P<text>[^\]\n]+)\]\((?![a-z]+:|#)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
DIAGRAM = re.compile(r'<pre class="mermaid">.*?</pre>', re.DOTALL)
# The name of an event or test in a table: where it cannot break it pushes all else aside.
LONG_NAME = re.compile(r"(?<=<code>)[^<\n]{20,}(?=</code>)")
BREAKS = re.compile(r"(::|[/_.])")
MERMAID = "assets/vendor/mermaid.tiny.js"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the pages of each folder that the navigation names, in the order of their names."""
    config.nav = [_listed(entry) for entry in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents at the top of the repository."""
    for name in TOP_PAGES:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead the links of a page to pages of the site; bring what draws its diagrams."""
    del config
    here = page.file.src_uri
    parts = FENCE.split(markdown)
    # Every second part is a block of code.
    parts[::2] = [LINK.sub(lambda link: _led(link, here, files), part) for part in parts[::2]]
    text = "".join(parts)
    if "\n```mermaid\n" in text:
        # Only on the pages that need it: it is large. The theme uses it instead of a remote one.
        script = os.path.relpath(MERMAID, PurePosixPath(here).parent)
        text += f'\n<script src="{script}"></script>\n'
    return text


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Give each diagram a frame, in which it may be wider than the page; let long names break."""
    del page, config, files
    html = LONG_NAME.sub(lambda name: BREAKS.sub(r"\1<wbr>", name[0]), html)
    return DIAGRAM.sub(r'<div class="diagram" tabindex="0">\g<0></div>', html)


def _listed(entry: object) -> object:
    """An entry of the navigation, with a folder's pages in place of its name."""
    if not isinstance(entry, dict):
        return entry
    return {title: _pages(value) for title, value in entry.items()}


def _pages(value: object) -> object:
    if isinstance(value, list):
        return [_listed(entry) for entry in value]
    if isinstance(value, str) and value.endswith("/"):
        names = sorted(path.name for path in (ROOT / DOCS / value).glob("*.md"))
        # Capitals come first: the page of the folder itself is its README.
        return [f"{value}{name}" for name in names]
    return value


def _led(link: re.Match[str], here: str, files: Files) -> str:
    """A link as the site needs it; its text alone where the site has no such page."""
    origin = PurePosixPath(here) if here in TOP_PAGES else DOCS / here
    target = os.path.normpath(origin.parent / link["path"])
    page = STANDS_FOR.get(target, target.removeprefix("docs/"))
    if files.get_file_from_path(page):
        path = os.path.relpath(page, PurePosixPath(here).parent)
        return f"[{link['text']}]({path}{link['anchor'] or ''})"
    if (ROOT / target).exists():
        # A name of a file looks like one; words stay words.
        is_name = not set("` ") & set(link["text"])
        return f"`{link['text']}`" if is_name else link["text"]
    return link[0]
