"""Object stores and all else that fsspec knows by URL: list, fetch, put, lock.

`s3://bucket/key`, `gs://…`, `az://…`, `https://…`: each scheme has a library of its own, which an
extra of the package installs. Credentials come from where that library looks for them, and are
never part of a message. fsspec is imported when it is used.
"""

from batchdigits.objects.fetch import fetch_files, fetch_objects, open_local_copy
from batchdigits.objects.listing import ObjectEntry, inspect_object, list_folder
from batchdigits.objects.lock import ObjectLock, hold_lock
from batchdigits.objects.ranged import open_ranged
from batchdigits.objects.shards import (
    Shard,
    choose_shards,
    delete_shards,
    fetch_shards,
    list_shards,
    put_shard,
)
from batchdigits.objects.store import (
    ObjectError,
    check_scheme,
    create_object,
    delete_object,
    fetch_file,
    is_in_memory,
    is_url,
    list_names,
    load_object,
    make_url,
    object_exists,
    put_file,
    strip_file_scheme,
)

__all__ = [
    "ObjectEntry",
    "ObjectError",
    "ObjectLock",
    "Shard",
    "check_scheme",
    "choose_shards",
    "create_object",
    "delete_object",
    "delete_shards",
    "fetch_file",
    "fetch_files",
    "fetch_objects",
    "fetch_shards",
    "hold_lock",
    "inspect_object",
    "is_in_memory",
    "is_url",
    "list_folder",
    "list_names",
    "list_shards",
    "load_object",
    "make_url",
    "object_exists",
    "open_local_copy",
    "open_ranged",
    "put_file",
    "put_shard",
    "strip_file_scheme",
]
