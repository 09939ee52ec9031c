"""What no source may do with data from outside, read from the sources; and why the dependencies have their floors."""

import ast
import configparser
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
TOP = ("medmd", "data_prep", "benchmarks")

FORBIDDEN_MODULES = {
    "pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "tarfile",
    "xml", "lxml", "xmlrpc", "code", "codeop", "pty", "commands", "telnetlib", "ftplib",
}  # fmt: skip
# By full name, however it was imported: a call, or a mere mention that could be called elsewhere.
FORBIDDEN_NAMES = {
    "eval", "exec", "compile", "__import__", "builtins.eval", "builtins.exec", "builtins.compile",
    "builtins.__import__", "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput",
    "tempfile.mktemp", "shutil.unpack_archive", "urllib.request.urlretrieve", "pandas.read_pickle", "pandas.eval",
    "torch.hub.load", "torch.hub.load_state_dict_from_url", "torch.jit.load", "torch.package.PackageImporter",
    "torch.serialization.add_safe_globals", "yaml.unsafe_load", "yaml.unsafe_load_all", "yaml.full_load",
    "yaml.Loader", "yaml.UnsafeLoader", "yaml.FullLoader", "logging.config.listen", "pydoc.locate",
    "monai.data.PersistentDataset", "monai.data.CacheNTransDataset", "monai.data.LMDBDataset",
    "monai.data.GDSDataset", "monai.handlers.CheckpointLoader", "monai.bundle.load", "monai.bundle.run",
    "monai.bundle.download", "monai.bundle.ConfigWorkflow", "monai.utils.instantiate", "mlflow.pyfunc.load_model",
    "mlflow.pytorch.load_model", "mlflow.sklearn.load_model",
}  # fmt: skip
FORBIDDEN_PREFIXES = ("os.exec", "os.spawn", "monai.apps.", "monai.auto3dseg.")
# Attributes of whatever object.
FORBIDDEN_METHODS = {"extractall", "extract", "get_parsed_content", "unsafe_load", "set_safe_globals"}
# Keywords of whatever function, and the one value that is allowed.
ONLY_VALUE = {"allow_pickle": False, "weights_only": True, "shell": False}
NEEDS_TIMEOUT = ("requests.", "urllib.request.urlopen", "httpx.")
WATCHED = ("torch.load", "yaml.load", "numpy.load", "importlib.import_module")
SAFE_YAML = {"yaml.SafeLoader", "yaml.CSafeLoader"}
# `import_module` of a name that is not written out: from a fixed table of the package.
# From tables of their own.
MAY_IMPORT_BY_NAME = {
    "data_prep/hospital/__init__.py",
    "medmd/commands/_table.py",
    "medmd/benchmark/__init__.py",
    "medmd/data/__init__.py",
    "medmd/io/_readers.py",
    "medmd/transforms/__init__.py",
}
# What evaluates a configuration: `python -m monai.bundle` may, and the benchmarks run our own bundle with it.
EVALUATES = ("uses .get_parsed_content", "uses monai.bundle.ConfigWorkflow", "imports a module whose name is computed")
EXCEPTIONS = {
    "medmd/benchmark/_cohort.py": {"uses .get_parsed_content": "of the bundle with the overlays that a user names"},
    "medmd/benchmark/_train.py": {"uses .get_parsed_content": "the same: what `python -m monai.bundle run` would run"},
    "medmd/handlers/_replay_script.py": {
        "uses monai.bundle.ConfigWorkflow": "a script that a user starts to repeat a step of the own run",
        "uses .get_parsed_content": "the same",
    },
    "medmd/io/_xml.py": {
        "imports xml.etree.ElementTree": "for its tree alone: what parses refuses document types, hence entities",
        "imports xml.parsers": "the same",
    },
    "medmd/io/heidelberg_xml.py": {"imports xml.etree.ElementTree": "for the type of what `_xml` gives"},
    "medmd/io/hfa_xml.py": {"imports xml.etree.ElementTree": "for the type of what `_xml` gives"},
    "medmd/workflows/check_config/_merge.py": {"uses monai.bundle.ConfigWorkflow": "for the names of its arguments"},
    "medmd/workflows/check_config/_explain.py": {"uses monai.utils.instantiate": "to know its frame in a traceback"},
    "medmd/workflows/check_config/_targets.py": {"uses pydoc.locate": "on names below four installed packages"},
    "medmd/workflows/preflight/_run.py": {"uses .get_parsed_content": "of the run that MONAI is evaluating already"},
}
PLAIN_MODULES = {"os", "builtins", "torch", "subprocess", "importlib", "sys", "yaml", "numpy", "pandas"}


class Rules(ast.NodeVisitor):
    """Collects what a source does against the rules."""

    def __init__(self, where=""):
        self.where = where
        self.found = []
        self.names = {}

    def report(self, node, text):
        self.found.append(f"{self.where}:{node.lineno}: {text}")

    def full(self, node):
        """`np.load` as `numpy.load`, or an empty text for what is no plain name."""
        if isinstance(node, ast.Attribute):
            base = self.full(node.value)
            return f"{base}.{node.attr}" if base else ""
        return self.names.get(node.id, node.id) if isinstance(node, ast.Name) else ""

    def visit_Import(self, node):
        for alias in node.names:
            self.module(node, alias.name)
            self.names[alias.asname or alias.name.split(".")[0]] = (
                alias.name if alias.asname else alias.name.split(".")[0]
            )

    def visit_ImportFrom(self, node):
        self.module(node, node.module or "")
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            self.names[alias.asname or alias.name] = full
            self.mention(node, full)
            if alias.name == "*":
                self.report(node, f"imports everything of {node.module}")

    def module(self, node, name):
        if name.split(".")[0] in FORBIDDEN_MODULES:
            self.report(node, f"imports {name}")

    def visit_Name(self, node):
        self.mention(node, self.full(node))

    def visit_Attribute(self, node):
        self.mention(node, self.full(node))
        if node.attr in FORBIDDEN_METHODS:
            self.report(node, f"uses .{node.attr}")
        self.generic_visit(node)

    def mention(self, node, full):
        if full in FORBIDDEN_NAMES or full.startswith(FORBIDDEN_PREFIXES):
            self.report(node, f"uses {full}")
        if full in WATCHED and isinstance(node, ast.expr):
            self.report(node, f"mentions {full} without calling it")

    def visit_Call(self, node):
        full = self.full(node.func)
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        self.loading(node, full, keywords)
        for name, allowed in ONLY_VALUE.items():
            if name in keywords and not is_literal(keywords[name], allowed):
                self.report(node, f"{name} other than {allowed}")
        if full.startswith(NEEDS_TIMEOUT) and "timeout" not in keywords:
            self.report(node, f"{full} without timeout")
        if full.startswith("subprocess.") and node.args and isinstance(node.args[0], ast.Constant | ast.JoinedStr):
            self.report(node, "a command as one text")
        if full == "getattr" and self.full(node.args[0]) in PLAIN_MODULES:
            self.attribute_by_name(node)
        # The function itself is called here, hence no mere mention.
        if full not in WATCHED:
            self.visit(node.func)
        for child in [*node.args, *(keyword.value for keyword in node.keywords)]:
            self.visit(child)

    def attribute_by_name(self, node):
        name = node.args[1].value if isinstance(node.args[1], ast.Constant) else None
        full = f"{self.full(node.args[0])}.{name}"
        if name is None or full in FORBIDDEN_NAMES or full in WATCHED or full.startswith(FORBIDDEN_PREFIXES):
            self.report(node, "getattr of a module")

    def loading(self, node, full, keywords):
        if full == "torch.load" and not is_literal(keywords.get("weights_only"), True):
            self.report(node, "torch.load without weights_only=True")
        if full == "yaml.load" and self.full(keywords.get("Loader", node)) not in SAFE_YAML:
            self.report(node, "yaml.load without SafeLoader")
        if full == "numpy.load" and len(node.args) > 2:
            self.report(node, "numpy.load with allow_pickle")
        literal = bool(node.args) and isinstance(node.args[0], ast.Constant)
        if full == "importlib.import_module" and not literal and self.where not in MAY_IMPORT_BY_NAME:
            self.report(node, "imports a module whose name is computed")
        if full in ("torch.load", "numpy.load", "yaml.load") and any(k.arg is None for k in node.keywords):
            self.report(node, f"{full} with keywords that are not written out")


def is_literal(node, value):
    return isinstance(node, ast.Constant) and node.value is value


def violations(text, where=""):
    rules = Rules(where)
    rules.visit(ast.parse(text))
    return rules.found


def breaches(path):
    """Of one of our sources, the exceptions aside."""
    where = path.relative_to(ROOT).as_posix()
    allowed = tuple(EXCEPTIONS.get(where, ())) + (EVALUATES if where.startswith("benchmarks/") else ())
    found = violations(path.read_text(encoding="utf-8"), where)
    return [line for line in found if line.split(": ", 1)[1] not in allowed]


@pytest.mark.parametrize("folder", TOP)
def test_no_source_breaks_the_rules(folder):
    found = [line for path in sorted((ROOT / folder).rglob("*.py")) for line in breaches(path)]

    assert "\n".join(found) == ""


PLANTED = [
    "import torch\ntorch.load('x')",
    "import torch\ntorch.load('x', weights_only=False)",
    "import torch\nsafe = True\ntorch.load('x', weights_only=safe)",
    "import torch\ntorch.load('x', **{'weights_only': True})",
    "import torch\ntorch.load('x', weights_only=True, **options)",
    "import torch as t\nt.load('x')",
    "from torch import load\nload('x')",
    "from torch import load as read\nread('x')",
    "import torch\nread = torch.load",
    "import torch\nlist(map(torch.load, paths))",
    "import torch\ngetattr(torch, 'load')('x')",
    "import os\ngetattr(os, name)('x')",
    "import os\ngetattr(os, 'system')('x')",
    "import torch\ntorch.hub.load('a', 'b')",
    "import torch\ntorch.jit.load('a')",
    "import torch\ntorch.serialization.add_safe_globals([print])",
    "import pickle",
    "from pickle import loads",
    "import cloudpickle as c",
    "def f():\n    import dill",
    "import joblib",
    "import shelve",
    "import marshal",
    "import pandas as pd\npd.read_pickle('x')",
    "import numpy as np\nnp.load('x', allow_pickle=True)",
    "import numpy as np\nnp.load('x', None, True)",
    "import numpy as np\nnp.load('x', allow_pickle=flag)",
    "from numpy import load\nload('x', allow_pickle=1)",
    "from monai.data import NumpyReader\nNumpyReader(allow_pickle=True)",
    "import yaml\nyaml.load('x')",
    "import yaml\nyaml.load('x', Loader=yaml.Loader)",
    "import yaml\nyaml.load('x', Loader=yaml.FullLoader)",
    "from yaml import unsafe_load\nunsafe_load('x')",
    "eval('1')",
    "exec(text)",
    "compile(text, 'f', 'exec')",
    "import builtins\nbuiltins.eval('1')",
    "from builtins import exec as run\nrun('1')",
    "run = eval",
    "__import__('os')",
    "import importlib\nimportlib.import_module(name)",
    "from importlib import import_module\nimport_module(name)",
    "import subprocess\nsubprocess.run('ls', shell=True)",
    "import subprocess\nsubprocess.run(['ls'], shell=flag)",
    "import subprocess\nsubprocess.run(f'ls {folder}')",
    "from subprocess import Popen\nPopen(command, shell=True)",
    "import os\nos.system('ls')",
    "from os import system",
    "import os\nos.execv('a', [])",
    "import zipfile\nzipfile.ZipFile('x').extractall('y')",
    "import zipfile\nwith zipfile.ZipFile('x') as z:\n    z.extract('a')",
    "import tarfile",
    "import shutil\nshutil.unpack_archive('x')",
    "import xml.etree.ElementTree as tree",
    "from xml.dom import minidom",
    "from lxml import etree",
    "import requests\nrequests.get('https://x')",
    "from urllib.request import urlopen\nurlopen('https://x')",
    "import urllib.request\nurllib.request.urlretrieve('https://x', 'y')",
    "import tempfile\ntempfile.mktemp()",
    "from monai.data import PersistentDataset",
    "import monai\nmonai.data.PersistentDataset([], None, 'x')",
    "from monai.handlers import CheckpointLoader\nCheckpointLoader('x', {})",
    "from monai.bundle import ConfigParser\nConfigParser({}).get_parsed_content('a')",
    "from monai.bundle import ConfigWorkflow",
    "from monai.apps.utils import extractall",
    "import mlflow\nmlflow.pyfunc.load_model('models:/x/1')",
    "from os import *",
]


@pytest.mark.parametrize("code", PLANTED)
def test_the_rules_catch_what_they_forbid(code):
    assert violations(code)


@pytest.mark.parametrize(
    "code",
    [
        "import torch\ntorch.load('x', map_location='cpu', weights_only=True)",
        "import numpy as np\nnp.load('x')\nnp.load('y', allow_pickle=False)",
        "import yaml\nyaml.safe_load('x')\nyaml.load('x', Loader=yaml.SafeLoader)",
        "import re, ast\nre.compile('x')\nast.literal_eval('1')\nmodel.eval()",
        "import subprocess\nsubprocess.run([sys.executable, '-m', 'x'], check=True)",
        "from importlib import import_module\nimport_module('medmd.data')",
        "import requests\nrequests.get('https://x', timeout=5)",
        "import zipfile\nwith zipfile.ZipFile('x') as z:\n    z.read('a')",
        "from defusedxml import ElementTree",
        "import os\ngetattr(os, 'O_BINARY', 0)",
        "import tempfile\ntempfile.mkstemp()",
    ],
)
def test_the_rules_allow_what_is_right(code):
    assert violations(code) == []


# Package: the lowest floor that keeps known faults out, and the words of its reason that setup.cfg must hold.
FLOORS = {
    # CVE-2025-58756 (torch.load), CVE-2026-21851 (zip-slip), GHSA-wvpx-5qmp-46g3 (logging.conf) and others.
    "monai": ("1.6.1", "GHSA-"),
    # CVE-2025-32434: `weights_only=True` ran code before 2.6; MONAI 1.6 asks for 2.8.
    "torch": ("2.8", "weights_only"),
    # CVE-2026-2614 and the path traversals before it; the floor of MONAI's handlers is higher.
    "mlflow": ("3.15.2", "CVE-2026-2614"),
    "pydicom": ("3.0.2", "CVE-2026-32711"),
    # CVE-2024-28219, a buffer overflow, and those before it.
    "pillow": ("10.3", "CVE-2024-28219"),
}  # fmt: skip


def requirements():
    """Of setup.cfg: each requirement with the comments that stand above it."""
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    block = text.split("install_requires =\n")[1].split("\n\n")[0]
    comments, found = [], {}
    for line in block.splitlines():
        if line.strip().startswith("#"):
            comments.append(line.strip("# "))
        else:
            requirement = Requirement(line.strip())
            found[requirement.name.lower()] = (requirement, " ".join(comments))
            comments = []
    return found


def floor(requirement):
    return max(Version(spec.version) for spec in requirement.specifier if spec.operator in (">=", "=="))


@pytest.mark.parametrize("name", sorted(FLOORS))
def test_floors_keep_known_faults_out_and_say_why(name):
    lowest, words = FLOORS[name]
    requirement, reason = requirements()[name]
    assert floor(requirement) >= Version(lowest)
    assert words in reason


def test_every_requirement_has_a_floor_and_a_reason():
    for name, (requirement, reason) in requirements().items():
        assert floor(requirement), name
        assert len(reason) > 20, name


def test_the_pins_stand_above_the_floors():
    pins = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([A-Za-z0-9_.-]+)==([^ ;]+)", line):
            pins.setdefault(match[1].lower(), []).append(Version(match[2]))
    for name, (requirement, _) in requirements().items():
        assert pins[name], name
        assert all(requirement.specifier.contains(version, prereleases=True) for version in pins[name]), name


def test_setup_cfg_is_read_as_setuptools_reads_it():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = [line for line in parser["options"]["install_requires"].splitlines() if line and line[0] != "#"]
    assert sorted(Requirement(line).name.lower() for line in lines) == sorted(requirements())
