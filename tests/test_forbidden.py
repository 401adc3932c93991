"""Two rules over every file of the product.

1. Nothing that runs bytes from outside as code, and no unsafe file handling, anywhere.
2. Sockets, files, clocks and chance are reached through `riverrun.world.World` alone. The files that stand
   at the edge are listed with what they use and why; an entry that is no longer needed fails as well.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.source_tree import SOURCE, Use, source_files, uses, uses_in

NEVER: Mapping[str, str] = {
    "pickle": "runs what the bytes say",
    "cPickle": "runs what the bytes say",
    "marshal": "runs what the bytes say",
    "shelve": "pickle inside",
    "dill": "pickle inside",
    "cloudpickle": "pickle inside",
    "joblib": "pickle inside",
    "eval()": "runs text",
    "exec()": "runs text",
    "compile()": "runs text",
    "builtins.eval": "runs text",
    "builtins.exec": "runs text",
    "yaml.load": "builds any object; yaml.safe_load does not",
    "yaml.unsafe_load": "builds any object",
    "os.system": "a shell",
    "os.popen": "a shell",
    "shell=": "a shell",
    "tempfile.mktemp": "somebody else can take the name first",
    ".extractall()": "writes outside the target",
    ".read_pickle()": "pickle inside",
    "pandas.read_pickle": "pickle inside",
}

#: What reaches outside. A name with "()" is a call; one that begins with "." is a method of anything.
OUTSIDE: tuple[str, ...] = (
    "socket",
    "select",
    "selectors",
    "time",
    "random",
    "secrets",
    "uuid",
    "asyncio",
    "subprocess",
    "http",
    "urllib.request",
    "open()",
    "io.open",
    "os.open",
    "os.urandom",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "datetime.date.today",
    ".read_text()",
    ".read_bytes()",
    ".write_text()",
    ".write_bytes()",
)

#: file or folder (ends in "/") -> what it may use -> why.
ALLOWED: Mapping[str, Mapping[str, str]] = {
    "clock.py": {"time": "SystemClock is the one door to real time"},
    "world.py": {"random": "names the type of a seeded generator in the protocol"},
    "runtime/real_world.py": {
        "random": "makes the generator that the real world hands out",
        "select": "World.wait is a poll",
    },
    "runtime/real_files.py": {
        "os.open": "Files of the real world",
        ".read_text()": "what the system says of its mounts; no input of a pipeline",
    },
    "runtime/real_network.py": {
        "socket": "Network of the real world",
        "select": "whether a connection is made yet",
    },
    "runtime/real_web.py": {
        "http": "Web of the real world",
        "socket": "connects to an address that was looked at, where http would look up the name by itself",
    },
    "dashboard/": {"asyncio": "an ASGI app is asynchronous; what it shows is handed to it by the runtime"},
    "dashboard/address.py": {
        "socket": "binds the address before the pipeline starts, so that a taken one is said"
    },
    "dashboard/server.py": {"socket": "hands the bound socket to the web server"},
    "demos/data_files.py": {".read_bytes()": "its own data, which are installed with it"},
    "demos/catalogue.py": {".read_text()": "its own code, which is installed with it, to show it"},
    "dashboard/assets.py": {".read_bytes()": "its own page and scripts, which are installed with it"},
    "runtime/memory.py": {".read_text()": "what the system says of this process; no input of a pipeline"},
    "testing/delivery.py": {"random": "plays histories by a seed, so that a broken one breaks again"},
    "state/journal.py": {"random": "names the type of the generator that it is handed"},
    "testing/simulated_content.py": {"random": "names the type of the generator that it is handed"},
    "testing/simulated_files.py": {"random": "names the type of the generator that it is handed"},
    "testing/laws.py": {"random": "shuffles the parts by a seed, so that a broken law breaks again"},
    "testing/simulated_run.py": {"random": "whose turn it is comes from a seeded generator"},
    "testing/simulated_world.py": {"random": "the simulated world's chance is a seeded generator"},
}


def matches(use: Use, name: str) -> bool:
    """Whether a use is of `name`: the module or function itself, something inside it, or a call of it."""
    bare = use.name.removesuffix("()")
    return use.name == name or bare == name or bare.startswith(name + ".")


def allowance(file: str) -> dict[str, str]:
    """What one file may use, with the reasons, from its own entry and those of its folders."""
    found: dict[str, str] = {}
    for place, names in ALLOWED.items():
        if file == place or (place.endswith("/") and file.startswith(place)):
            found.update(names)
    return found


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_runs_bytes_as_code(path):
    found = [f"{use}: {why}" for use in uses(path) for name, why in NEVER.items() if matches(use, name)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_outside_is_reached_through_the_world(path):
    may = allowance(str(path.relative_to(SOURCE)))
    found = [
        str(use)
        for use in uses(path)
        if any(matches(use, name) for name in OUTSIDE) and not any(matches(use, name) for name in may)
    ]
    assert not found, (
        "\n" + "\n".join(found) + "\ntry: take a World (or a Clock) as an argument and use that;"
        "\n     a file that must stand at the edge gets an entry with its reason in ALLOWED"
    )


@pytest.mark.parametrize("place", ALLOWED)
def test_no_allowance_is_left_over(place):
    files = [path for path in source_files() if str(path.relative_to(SOURCE)).startswith(place)]
    used = [use for path in files for use in uses(path)]
    unused = [name for name in ALLOWED[place] if not any(matches(use, name) for use in used)]
    assert not unused, f"{place} no longer uses {', '.join(unused)}: take the entry out of ALLOWED"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("import pickle", "pickle"),
        ("from pickle import loads as parse", "pickle"),
        ("import pickle as p\np.loads(b'')", "pickle"),
        ("eval('1')", "eval()"),
        ("import yaml\nyaml.load(f)", "yaml.load"),
        ("from subprocess import run\nrun('ls', shell=True)", "shell="),
        ("archive.extractall()", ".extractall()"),
        ("from datetime import datetime as d\nd.now()", "datetime.datetime.now"),
        ("import datetime\ndatetime.datetime.now()", "datetime.datetime.now"),
        ("def f():\n    import time\n", "time"),
        ("open('x')", "open()"),
        ("Path('x').read_text()", ".read_text()"),
    ],
)
def test_the_search_finds(text, name):
    assert any(matches(use, name) for use in uses_in(text, "example.py"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("world.files.open_read('x')", "open()"),
        ("decoder.open()", "open()"),
        ("import re\nre.compile('x')", "compile()"),
        ("import timeit", "time"),
        ("run('ls', shell=False)", "shell="),
        ("from datetime import datetime\ndatetime(1970, 1, 1)", "datetime.datetime.now"),
    ],
)
def test_the_search_does_not_mistake(text, name):
    assert not any(matches(use, name) for use in uses_in(text, "example.py"))
