"""Small helpers without knowledge of the field; every other folder may use them, they use none."""

from medmd.utils._archive import archive_is_whole, archive_members, refused, regular_file
from medmd.utils._bins import BOUNDARY_TOLERANCE
from medmd.utils._differences import differences
from medmd.utils._errors import MedmdError
from medmd.utils._files import atomic_path, sha256_bytes, sha256_file, write_atomic
from medmd.utils._json import read_json, write_json
from medmd.utils._opcodes import PickleContent, read_pickle
from medmd.utils._pool import Pool, cores, open_pool
from medmd.utils._progress import progress
from medmd.utils._safetensors import StoredTensor, read_safetensors_header
from medmd.utils._seeds import derive_seed
from medmd.utils._signals import STOP, Stopped, StopSignals, outlive_stop_signals, stop_signals
from medmd.utils._storage import WriteError, storage_fault
from medmd.utils._tensors import check_fields, load_tensor, load_tensors, restore, warn_of_bad_numbers

__all__ = [
    "BOUNDARY_TOLERANCE",
    "STOP",
    "MedmdError",
    "PickleContent",
    "Pool",
    "StopSignals",
    "Stopped",
    "StoredTensor",
    "WriteError",
    "archive_is_whole",
    "archive_members",
    "atomic_path",
    "check_fields",
    "cores",
    "derive_seed",
    "differences",
    "load_tensor",
    "load_tensors",
    "open_pool",
    "outlive_stop_signals",
    "progress",
    "read_json",
    "read_pickle",
    "read_safetensors_header",
    "refused",
    "regular_file",
    "restore",
    "sha256_bytes",
    "sha256_file",
    "stop_signals",
    "storage_fault",
    "warn_of_bad_numbers",
    "write_atomic",
    "write_json",
]
