"""Help, completion, the manual page, bad command lines: all follow the one table of verbs."""
import re
import shutil
import socket
import subprocess
from pathlib import Path

from support import equal, true

VOCABULARY = """get set delete exists add replace cas compare-and-delete increment take apply scan keys count ttl
expire persist clear health capabilities stats copy import export options stores version help""".split()


def table(kivi):
    lines = kivi.good(None, "help", "--list").lines
    return {line.split()[0]: line.split()[1:] for line in lines}


def case_the_vocabulary(kivi):
    equal(sorted(table(kivi)), sorted(VOCABULARY))


def case_help_of_every_verb(kivi):
    overview = kivi.good(None, "help").text
    equal(kivi.good(None, "--help").text, overview)
    for verb, options in table(kivi).items():
        text = kivi.good(None, verb, "--help").text
        equal(kivi.good(None, "help", verb).text, text)
        equal(kivi.good(None, verb, "-h", "too", "many", "words").text, text)
        true(text.startswith("usage: kivi ") and f" {verb}" in text.splitlines()[0], text)
        equal(re.findall(r"^  (?:-\w, |    )(--[\w-]+)", text, re.M), options, f"options of {verb}")
        true(re.search(rf"^  {verb} ", overview, re.M), f"{verb} in the overview")
        true(all(len(line) <= 100 for line in text.splitlines()), f"lines of {verb} --help")
    for topic in ("values", "keys", "exit"):
        true(topic in overview and len(kivi.good(None, "help", topic).lines) > 3, topic)
    kivi.bad(None, 2, "nosuch", "help", "nosuch")


def case_version(kivi):
    text = kivi.good(None, "version").text
    true(re.fullmatch(r"kivi \d+\.\d+\.\d+\n", text), text)
    equal(kivi.good(None, "--version").text, text)


def case_bad_command_lines(kivi):
    url = kivi.store()
    for args, words in (
            ([], "usage"), (["nosuch"], "nosuch"), (["gett", "a"], "did you mean \"get\"?"), (["del", "a"], "did you mean \"delete\"?"),
            (["gte", "a"], 'did you mean "get"?'), (["-s", "ldmb:x", "get", "a"], 'did you mean "lmdb"?'),
            (["options", "reds"], 'did you mean "redis"?'), (["help", "expotr"], 'did you mean "export"?'),
            (["expotr"], "did you mean \"export\"?"), (["get"], "usage: kivi get KEY..."), (["set", "a"], "usage: kivi set"),
            (["take", "a", "b"], "usage: kivi take KEY"), (["get", "a", "--nosuch"], "--nosuch"),
            (["get", "a", "--jsno"], "did you mean --json?"), (["get", "a", "--atomic"], "get has no option --atomic"),
            (["get", "a", "-z"], "-z"), (["set", "a", "1", "--ttl"], "--ttl needs SECONDS"),
            (["get", "a", "--json=yes"], "takes no argument"), (["keys", "a", "b"], "usage"),
            (["version", "x"], "usage"), (["stats", "-s"], "--store needs URL")):
        kivi.bad(url, 2, words, *args)


def case_bad_urls_and_options(kivi):
    kivi.bad("nosuch:x", 2, ["nosuch", "lmdb", "memory"], "get", "a")
    kivi.bad("no url at all", 2, "", "get", "a")
    url = kivi.store()
    kivi.bad(url, 2, ["snyc", "sync"], "get", "a", "-o", "snyc=false")
    kivi.bad(url + "?sync=maybe", 2, "sync", "get", "a")
    kivi.bad(url, 2, "sync", "get", "a", "-o", "sync=maybe")
    kivi.good(url, "set", "a", "1", "-o", "sync=false")


def case_secrets_are_not_shown(kivi):
    for url in ("nosuch://user:hunter2@host/x", "memory:x?password=hunter2", "lmdb://user:hunter2@/none/x"):
        for verb in (["get", "a"], ["clear", "--all"], ["health"]):
            result = kivi.run(url, *verb)
            true("hunter2" not in result.error + result.text, f"{url}: {result.error}{result.text}")


def case_stores_and_options(kivi):
    stores = {line["scheme"]: line for line in kivi.good(None, "stores", "--json").values}
    true(stores["memory"]["available"] and stores["lmdb"]["available"], f"{stores}")
    text = kivi.good(None, "stores").text
    true(re.search(r"^lmdb ", text, re.M) and re.search(r"^memory ", text, re.M), text)
    options = {line["name"]: line for line in kivi.good(None, "options", "lmdb", "--json").values}
    true({"codec", "timeout", "namespace", "sync"} <= set(options), f"{sorted(options)}")
    equal(options["timeout"]["type"], "duration")
    text = kivi.good(None, "options", "lmdb:some/file").text
    true(re.search(r"^sync +yes or no", text, re.M), text)
    kivi.bad(None, 2, "nosuch", "options", "nosuch")


def bash(kivi, script):
    done = subprocess.run(["bash", "-c", f"source {kivi.source}/libkivi/cli/completion/kivi.bash\n{script}"],
                          capture_output=True, text=True, check=False,
                          env=dict(kivi.environment, PATH=f"{kivi.build}/bin:{kivi.environment['PATH']}"))
    equal((done.returncode, done.stderr), (0, ""), script)
    return done.stdout.split()


def case_bash_completion(kivi):
    subprocess.run(["bash", "-n", f"{kivi.source}/libkivi/cli/completion/kivi.bash"], check=True)
    verbs = table(kivi)
    equal(sorted(bash(kivi, "echo $_kivi_verbs")), sorted(verbs))
    for verb, options in verbs.items():
        equal(sorted(bash(kivi, f"_kivi_options {verb}")), sorted(options), f"options of {verb}")


def complete(kivi, *words):
    quoted = " ".join(f"'{word}'" for word in words)
    return bash(kivi, f"COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}; _kivi; printf '%s\\n' \"${{COMPREPLY[@]}}\"")


def case_bash_completes(kivi):
    equal(complete(kivi, "kivi", "comp"), ["compare-and-delete"])
    equal(complete(kivi, "kivi", "-s", "lmdb", ":", "x", "exp"), ["expire", "export"])
    equal(complete(kivi, "kivi", "get", "--ver"), ["--versioned"])
    equal(complete(kivi, "kivi", "-s", "lm"), ["lmdb:"])
    equal(complete(kivi, "kivi", "options", "memo"), ["memory"])
    equal(complete(kivi, "kivi", "help", "val"), ["values"])
    equal(complete(kivi, "kivi", "export", "--format", ""), ["lines", "object"])


def plugin_folder(kivi):
    """One with manifests whose names are commands to a shell, and one of a scheme like any other."""
    folder = Path(kivi.path("plugins"))
    folder.mkdir()
    for name in ("$(touch${IFS}ran)", "`touch${IFS}ran`", "a;touch ran;", "x\u009b1m", "fine"):
        (folder / f"{name}.plugin").write_text("name: x\n")
    return folder


def case_completion_runs_no_names(kivi):
    folder = plugin_folder(kivi)
    kivi.environment = dict(kivi.environment, KIVI_PLUGIN_PATH=str(folder))
    schemes = ["badger", "bolt", "fine", "lmdb", "mariadb", "memcached", "memcached+unix", "memcacheds", "memory",
               "mysql", "postgres", "postgresql", "redis", "redis+cluster", "redis+sentinel", "redis+unix", "rediss",
               "rediss+cluster", "rediss+sentinel", "rocksdb"]
    words = "COMP_WORDS=(kivi {0}) COMP_CWORD=2; _kivi; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    equal(bash(kivi, f"cd {folder}; " + words.format("-s ''")), [scheme + ":" for scheme in schemes])
    equal(bash(kivi, f"cd {folder}; " + words.format("options ''")), schemes)
    equal(bash(kivi, f"cd {folder}; COMP_WORDS=(kivi copy '') COMP_CWORD=2; _kivi; echo ${{#COMPREPLY[@]}}"), [str(len(schemes))])
    true(not (folder / "ran").exists(), "a plugin's name was carried out")


def case_zsh_completes_schemes_only(kivi):
    if not shutil.which("zsh"):
        return
    kivi.environment = dict(kivi.environment, KIVI_PLUGIN_PATH=str(plugin_folder(kivi)))
    path = f"{kivi.source}/libkivi/cli/completion/kivi.zsh"
    script = f"compadd() {{ shift 3; print -l -- $@ }}; source <(sed '$d' {path}); _kivi_url"
    done = subprocess.run(["zsh", "-fc", script], capture_output=True, text=True, check=False,
                          env=dict(kivi.environment, PATH=f"{kivi.build}/bin:{kivi.environment['PATH']}"))
    equal((done.returncode, done.stderr), (0, ""))
    equal(done.stdout.split(),
          ["badger", "bolt", "fine", "lmdb", "mariadb", "memcached", "memcached+unix", "memcacheds", "memory", "mysql",
           "postgres", "postgresql", "redis", "redis+cluster", "redis+sentinel", "redis+unix", "rediss",
           "rediss+cluster", "rediss+sentinel", "rocksdb"])


def case_zsh_completion(kivi):
    path = f"{kivi.source}/libkivi/cli/completion/kivi.zsh"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    listed = re.search(r"verbs=\(\n(.*?)\n    \)", text, re.S).group(1)
    equal(sorted(re.findall(r"^ +'([a-z-]+):", listed, re.M)), sorted(table(kivi)))
    specs = set(re.findall(r"^        ([a-z-]+) '", text, re.M))
    equal({option[2:] for options in table(kivi).values() for option in options} - specs, set())
    if shutil.which("zsh"):
        subprocess.run(["zsh", "-n", path], check=True)


def case_the_manual_page(kivi):
    path = f"{kivi.source}/libkivi/cli/kivi.1"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    verbs = table(kivi)
    equal(sorted(re.findall(r"^\.It Cm ([a-z-]+)", text, re.M)), sorted(verbs), "the verbs")
    options = set(re.findall(r"^\.It Fl (?:\w , )?-([a-z-]+)", text, re.M))
    equal(options - {"version"}, {option[2:] for given in verbs.values() for option in given}, "the options")
    for form in ("$bin", "$time", "$ext", "$float", "$pairs"):
        true(form in text, form)
    if shutil.which("mandoc"):
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path], capture_output=True, text=True,
                              check=False)
        equal(done.stdout, "", "what mandoc says")
    elif shutil.which("man"):
        done = subprocess.run(["man", "-l", "-P", "cat", "--warnings", path], capture_output=True, text=True,
                              check=False)
        equal((done.returncode, done.stderr), (0, ""), "what man says")


def case_passwords_are_not_listed(kivi):
    """What ps shows of a command that runs: no login, no value of an option."""
    for words in (["-s", "redis://user:S3CRET@HERE/0", "get", "k"], ["--store=redis://user:S3CRET@HERE/0", "get", "k"],
                  ["copy", "redis://user:S3CRET@HERE/0", kivi.store()], ["-s", "redis://HERE?password=S3CRET", "get", "k"],
                  ["-s", "redis://HERE", "-o", "password=S3CRET", "get", "k"]):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            here = f"127.0.0.1:{silent.getsockname()[1]}"
            process = kivi.start(None, *[word.replace("HERE", here) for word in words])
            connection = silent.accept()[0]
            said = connection.recv(4096)
            shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            process.kill()
            kivi.finish(process)
            connection.close()
            true(b"S3CRET" not in shown and b"redis:" in shown, f"{words}: {shown}")
            true(b"S3CRET" in said, f"the password itself is sent: {said}")


def case_errors_echo_no_value_beside_a_login(kivi):
    for option in ("timeout", "lanes", "codec", "consistency", "protocol", "tls_verify"):
        for url in (f"redis://u:p@127.0.0.1:9/?{option}=S3CRET", f"redis://:p@127.0.0.1:9/S3CRET?{option}=1"):
            result = kivi.run(url, "get", "k")
            true(result.code != 0 and "S3CRET" not in result.error, f"{url}: {result.error}")
    result = kivi.run("redis://u:p@127.0.0.1:9/", "get", "k", "-o", "timeout=S3CRET")
    true(result.code == 2 and "S3CRET" not in result.error and '"timeout"' in result.error, result.error)
    kivi.bad("redis://127.0.0.1:9/?timeout=word", 2, '"word"', "get", "k")
