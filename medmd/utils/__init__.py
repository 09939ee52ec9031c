"""Small helpers without knowledge of the field; every other folder may use them, they use none."""

from medmd.utils._errors import MedmdError
from medmd.utils._files import atomic_path, sha256_bytes, sha256_file, write_atomic
from medmd.utils._json import read_json, write_json
from medmd.utils._progress import progress
from medmd.utils._seeds import derive_seed

__all__ = [
    "MedmdError",
    "atomic_path",
    "derive_seed",
    "progress",
    "read_json",
    "sha256_bytes",
    "sha256_file",
    "write_atomic",
    "write_json",
]
