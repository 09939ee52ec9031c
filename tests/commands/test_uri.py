import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmd.commands._uri import without_credentials


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://user:secret@host.example:8443/mlflow", "https://host.example:8443/mlflow"),
        ("https://token@host.example", "https://host.example"),
        ("postgresql+psycopg2://user:pa/ss?w#o@rd@db:5432/mlflow", "postgresql+psycopg2://db:5432/mlflow"),
        ("https://host.example/path?token=secret#part", "https://host.example/path"),
        ("sqlite:////data/mlruns.db", "sqlite:////data/mlruns.db"),
        ("databricks", "databricks"),
        ("databricks://profile", "databricks://profile"),
        ("./mlruns", "./mlruns"),
    ],
)
def test_examples(uri, shown):
    assert without_credentials(uri) == shown


@given(password=st.text(min_size=1), user=st.text())
def test_no_password_survives_whatever_characters_it_has(password, user):
    assert without_credentials(f"https://{user}:{password}@host.example/x") == "https://host.example/x"
