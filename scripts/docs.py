"""Generates and checks the documentation for scripts/docs.

docs.py generate DOCS DEFAULT_TOML PROGRAM  writes the generated pages into the copy DOCS
docs.py check ROOT SITE                     checks the links of the built site and of the Markdown files
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib
import urllib.parse
from html.parser import HTMLParser

# Markdown files in docs/ that are no pages of the site.
NO_PAGES = {"SUMMARY.md", "examples/README.md"}


def configuration(path):
    """The page of all settings: each comment block of the file, with the setting that follows it."""
    text = path.read_text(encoding="utf-8")
    values = tomllib.loads(text)
    page = ["# Configuration", ""]
    section, comment, documented = None, [], set()
    for line in text.splitlines():
        if line.startswith("#"):
            comment.append(line[1:].strip())
        elif match := re.fullmatch(r"\[(\w+)\]", line):
            section = match[1]
            page += ["", f"## {section}", ""]
            comment = []
        elif match := re.match(r"(\w+) = (.*)", line):
            name = f"{section}.{match[1]}"
            variable = f"KEYTURN_{section}__{match[1]}".upper()
            page += [f"### `{name}`", "", " ".join(comment), "", f"In `config/default.toml`: `{match[2]}`. Variable: `{variable}`.", ""]
            documented.add(name)
            comment = []
        elif not line:
            if section is None and comment:
                # The introduction at the top of the file.
                page += ["", *comment, ""]
            comment = []
    every = {f"{section}.{name}" for section, settings in values.items() for name in settings}
    if documented != every:
        sys.exit(f"{path}: settings without a comment block of their own: {sorted(every ^ documented)}")
    # The last paragraph of the introduction is for developers.
    return re.sub(r"\nGenerated from src/.*?\n\n", "\n\n", "\n".join(page), count=1, flags=re.DOTALL) + "\n"


def options(program):
    """The page of all options: the --help of every command."""
    page = ["# All options of the command line", "", "The output of `--help` for every command. [Command line](../cli.md) has the rest.", ""]
    pending = [[]]
    while pending:
        command = pending.pop(0)
        result = subprocess.run([program, *command, "--help"], capture_output=True, text=True, timeout=20)
        if result.returncode != 0:
            sys.exit(f"{' '.join(command)} --help: exit code {result.returncode}\n{result.stderr}")
        page += [f"## `{' '.join(['keyturn', *command])}`", "", "```text", result.stdout.rstrip(), "```", ""]
        found = re.search(r"^Commands:\n((?:  .*\n)+)", result.stdout, re.MULTILINE)
        names = re.findall(r"^  (\S+)", found[1], re.MULTILINE) if found else []
        pending += [[*command, name] for name in names if name != "help"]
    if len(page) < 60:
        sys.exit("the commands of --help were not found")
    return "\n".join(page)


def generate(docs, default_toml, program):
    (docs / "reference/configuration.md").write_text(configuration(default_toml), encoding="utf-8")
    (docs / "reference/cli-options.md").write_text(options(program), encoding="utf-8")
    # mdBook writes README.md as index.html, but does not follow that in links.
    for page in docs.rglob("*.md"):
        if page.name != "SUMMARY.md":
            text = page.read_text(encoding="utf-8")
            page.write_text(re.sub(r"(\]\((?:[^)\s:]*/)?)README\.md", r"\1index.md", text), encoding="utf-8")


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src") and value:
                self.links.append(value)
            if name in ("id", "name") and value:
                self.anchors.add(value)


def broken_links(site):
    """Links of the site that lead nowhere."""
    pages = {path.resolve(): Page(path) for path in sorted(site.rglob("*.html"))}
    broken, count = [], 0
    for path, page in pages.items():
        # The page for missing addresses has links from the root of a server.
        if path.name == "404.html":
            continue
        for link in page.links:
            url = urllib.parse.urlsplit(link)
            if url.scheme or url.netloc:
                continue
            count += 1
            target = (path.parent / urllib.parse.unquote(url.path)).resolve() if url.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                broken.append(f"{path.relative_to(site.resolve())}: {link}: no such file")
            elif url.fragment and target in pages and urllib.parse.unquote(url.fragment) not in pages[target].anchors:
                broken.append(f"{path.relative_to(site.resolve())}: {link}: no such anchor")
    return broken, count


def slug(heading):
    """The anchor that GitHub and mdBook give a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading.strip()).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def without_code(text):
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def broken_markdown_links(root, files):
    """Links of Markdown files in the repository that lead nowhere."""
    broken = []
    for file in files:
        for link in re.findall(r"\]\(([^)\s]+)\)", without_code(file.read_text(encoding="utf-8"))):
            url = urllib.parse.urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (file.parent / url.path).resolve() if url.path else file
            if not target.exists():
                broken.append(f"{file.relative_to(root)}: {link}: no such file")
            elif url.fragment and target.suffix == ".md":
                text = re.sub(r"^```.*?^```", "", target.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
                if url.fragment not in {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}:
                    broken.append(f"{file.relative_to(root)}: {link}: no such heading")
    return broken


def check_checker():
    """A checker that finds nothing in a broken site proves nothing."""
    with tempfile.TemporaryDirectory() as folder:
        site = pathlib.Path(folder)
        (site / "a.html").write_text('<h1 id="x"></h1><a href="b.html"></a><a href="a.html#y"></a><a href="#x"></a>', encoding="utf-8")
        found, count = broken_links(site)
        (site / "a.md").write_text("# An `x` b\n[1](b.md) [2](#y) [3](#an-x-b) `[4](c.md)`\n", encoding="utf-8")
        found += broken_markdown_links(site, [site / "a.md"])
    if (len(found), count) != (4, 3):
        sys.exit(f"the checker does not work: {found}")


def check(root, site):
    check_checker()
    summary = (root / "docs/SUMMARY.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"\]\(([^)]+\.md)\)", summary))
    pages = {str(path.relative_to(root / "docs")) for path in (root / "docs").rglob("*.md")} - NO_PAGES
    broken = [f"docs/SUMMARY.md: {page}: not listed" for page in sorted(pages - listed)]
    broken += [f"docs/SUMMARY.md: {page}: no such file" for page in sorted(listed - pages)]
    found, count = broken_links(site)
    broken += found
    for path in site.rglob("*.html"):
        if "{{#" in path.read_text(encoding="utf-8"):
            broken.append(f"{path.relative_to(site)}: an include was not replaced")
    tracked = subprocess.run(["git", "ls-files", "-z", "*.md"], cwd=root, capture_output=True, check=True).stdout.decode()
    files = [root / name for name in tracked.split("\0") if name and (root / name).exists()]
    broken += broken_markdown_links(root, files)
    if broken:
        sys.exit("\n".join(["broken documentation:", *broken]))
    print(f"ok docs: {len(pages)} pages, {count} links, {len(files)} Markdown files")


match sys.argv[1:]:
    case ["generate", docs, default_toml, program]:
        generate(pathlib.Path(docs), pathlib.Path(default_toml), program)
    case ["check", root, site]:
        check(pathlib.Path(root).resolve(), pathlib.Path(site).resolve())
    case _:
        sys.exit(__doc__)
