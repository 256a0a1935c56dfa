"""The README as package pages show it, away from the tree: links into the tree are absolute, below the project's URL.
As a program it prints the README of a language: python3 python/backend/kivi_readme.py ruby
"""
import pathlib
import posixpath
import re
import sys

# The one place of it: where a browser finds the files of the tree, such as ".../blob/main". While there is none, a link
# into the tree becomes its text.
PROJECT_URL = ""

LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]*)\)")


def for_page(text, folder, base=PROJECT_URL):
    """`text` of a README in `folder` of the tree; code blocks stay as they are."""

    def absolute(match):
        words, target = match.groups()
        if target.startswith("#") or re.match(r"[a-z]+:", target):
            return match.group()
        if not base:
            return words
        return f"[{words}]({base.rstrip('/')}/{posixpath.normpath(posixpath.join(folder, target))})"

    parts = re.split(r"(^```.*?^```$)", text, flags=re.M | re.S)
    return "".join(part if part.startswith("```") else LINK.sub(absolute, part) for part in parts)


def dynamic_metadata(settings, project):
    text = pathlib.Path("README.md").read_text(encoding="utf-8")
    return {"readme": {"content-type": "text/markdown", "text": for_page(text, "python")}}


if __name__ == "__main__":
    root = pathlib.Path(__file__).resolve().parents[2]
    print(for_page((root / sys.argv[1] / "README.md").read_text(encoding="utf-8"), sys.argv[1]), end="")
