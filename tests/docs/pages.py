"""READMEs as package pages show them: every link but those within the page is absolute, and leads to a file of the tree.
usage: tests/docs/pages.py SOURCE; prints TAP
"""
import os
import re
import sys

source = sys.argv[1]
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(source, "python", "backend"))
import kivi_readme

BASE = "https://forge.invalid/libkivi/blob/main"


def links(text):
    return [target for _, target in kivi_readme.LINK.findall(re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))]


def tell(name, wrong):
    for line in wrong:
        print(f"# {line}")
    print(f"{'not ok' if wrong else 'ok'} - docs: {name}")


for folder in ["python", "ruby", "lua"]:
    with open(os.path.join(source, folder, "README.md"), encoding="utf-8") as file:
        text = file.read()
    shown = links(kivi_readme.for_page(text, folder))
    tell(f"{folder}/README.md as a page of the package has no relative link",
         [target for target in shown if not re.match(r"#|https?://", target)])  # fmt: skip
    based = [target for target in links(kivi_readme.for_page(text, folder, BASE)) if target.startswith(BASE)]
    relative = [target for target in links(text) if not re.match(r"#|[a-z]+:", target)]
    paths = [target[len(BASE) + 1 :].partition("#")[0] for target in based]
    tell(f"{folder}/README.md below a project's URL has its links into the tree",
         [path for path in paths if not os.path.exists(os.path.join(source, path))]
         + ([f"{len(relative)} links became {len(based)}"] if len(relative) != len(based) else []))  # fmt: skip

sample = "[a](../libkivi/docs/x.md#y) [b](#b) [c](https://d/)\n```\nf[a](b)\n```\n[e](examples)"
wanted = f"[a]({BASE}/libkivi/docs/x.md#y) [b](#b) [c](https://d/)\n```\nf[a](b)\n```\n[e]({BASE}/python/examples)"
made = kivi_readme.for_page(sample, "python", BASE)
tell("a relative link is made absolute, code is not touched", [] if made == wanted else [made])
