import json

import pytest

from medmd.workflows.check_config import check_config


@pytest.fixture
def check(tmp_path):
    """Checks dictionaries as if they were files laid over one another: `check(first, second, key=value)`."""

    def run(*contents, **overrides):
        files = []
        for number, content in enumerate(contents):
            path = tmp_path / f"{number}.json"
            path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
            files.append(str(path))
        return check_config(files, overrides)

    return run


@pytest.fixture
def found(check):
    """The findings as (level, kind, path with #, line), without those that say what was not checked."""

    def run(*contents, **overrides):
        report = check(*contents, **overrides)
        return [
            (finding.level, finding.kind, "#".join(finding.path), finding.place and finding.place.line)
            for finding in report.findings
            if finding.level != "note"
        ]

    return run
