"""What a process can close for itself, without root: files (Landlock), network and other processes (seccomp), memory.

Called in a fork before any code of the plugin runs; none of it can be taken back. What a system does not offer stays open,
and is not named in what `confine` returns, so nothing is promised that does not hold. Sources: landlock(7), seccomp(2),
prctl(2).
"""

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

MEMORY_BYTES = 1 << 30
"""What one worker process may hold."""

_libc = ctypes.CDLL(None, use_errno=True)
_READ_FILE, _READ_DIR, _EXECUTE, _WRITE_FILE = 1 << 2, 1 << 3, 1 << 0, 1 << 1
_NO_NEW_PRIVS, _SECCOMP, _PARENT_DIES = 38, 22, 1


def ruleset(readable: Iterable[Path]) -> int | None:
    """A Landlock ruleset (a descriptor): Python, installed packages and `readable` can be read, nothing can be written.

    None where the system has no Landlock. To be made once for a plugin, outside; `confine` puts it into force.
    """
    if sys.platform != "linux":
        return None
    version = int(_libc.syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))
    if version < 1:
        return None
    files = (1 << (13 + (version >= 2) + (version >= 3))) - 1 | (1 << 15 if version >= 5 else 0)
    attributes = struct.pack("QQQ", files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    made = int(_libc.syscall(444, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0)))
    if made < 0:
        return None
    for path, rights in (*_python(), *((path, _READ_FILE | _READ_DIR) for path in readable)):
        _allow(made, path, rights)
    return made


def _allow(made: int, path: Path, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no right
    try:
        if not path.is_dir():
            rights &= ~_READ_DIR
        rule = struct.pack("=Qi", rights, opened)
        if _libc.syscall(445, ctypes.c_int(made), ctypes.c_int(1), rule, ctypes.c_uint32(0)) != 0:
            raise OSError(ctypes.get_errno(), f"landlock_add_rule {path}")
    finally:
        os.close(opened)


def _python() -> Iterator[tuple[Path, int]]:
    """The interpreter's own files and installed packages, but of this project only what a configuration is made of.

    The simulated world is left out: its seed and its code would tell the outcomes.
    """
    package = Path(__file__).parents[2]
    folders = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    for folder in folders:
        yield folder, _READ_DIR
        for entry in folder.iterdir() if folder.is_dir() else ():
            if entry.name not in ("coordeval", "site-packages", "dist-packages"):
                yield entry, _READ_FILE | _READ_DIR | _EXECUTE
    for library in ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo", "/etc/localtime"):
        yield Path(library), _READ_FILE | _READ_DIR | _EXECUTE
    yield Path("/dev/null"), _READ_FILE | _WRITE_FILE
    for device in ("/dev/urandom", "/dev/zero"):
        yield Path(device), _READ_FILE
    yield package / "configurations", _READ_FILE | _READ_DIR
    own = {getattr(module, "__file__", None) for name, module in sys.modules.items() if name.startswith("coordeval")}
    for file in own - {None}:
        yield Path(str(file)), _READ_FILE


def confine(files: int | None) -> list[str]:
    """Close what can be closed for this process, for good; returns what is closed: "files", "network", "processes"."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)  # writes nothing, also where there is no Landlock
    _limit(resource.RLIMIT_NOFILE, 64)
    _limit(resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS, MEMORY_BYTES)
    if sys.platform != "linux":
        return []
    _libc.prctl(_PARENT_DIES, 9, 0, 0, 0)
    if _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return []
    closed = []
    if files is not None and _libc.syscall(446, ctypes.c_int(files), ctypes.c_uint32(0)) == 0:
        closed.append("files")
    if _filter():
        closed += ["network", "processes"]
    return closed


def _limit(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(which, (most, most))


# syscall -> its number on (x86_64, aarch64); None: there is none. Each fails with EPERM.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # network; io_uring would be a second door to it
    "socket": (41, 198), "io_uring_setup": (425, 425),
    # other processes: to signal, to read, to slow down, to start
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "process_madvise": (440, 440),
    "kcmp": (312, 272), "move_pages": (279, 239), "migrate_pages": (256, 238), "perf_event_open": (298, 241),
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None), "setsid": (112, 157),
    "prlimit64": (302, 261), "setrlimit": (160, 164), "setpriority": (141, 140), "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119), "sched_setparam": (142, 118), "sched_setattr": (314, 274), "ioprio_set": (251, 30),
    "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190),
    # what Landlock leaves open of files: their mode, owner, times and attributes
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "open_by_handle_at": (304, 265),
    # what a process of root could still do
    "mount": (165, 40), "umount2": (166, 39), "unshare": (272, 97), "setns": (308, 268), "chroot": (161, 51),
    "bpf": (321, 280), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "userfaultfd": (323, 282),
    "reboot": (169, 142), "kexec_load": (246, 104), "init_module": (175, 105), "finit_module": (313, 273),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "sethostname": (170, 161),
}  # fmt: skip
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_CLONE, _CLONE3 = (56, 220), 435
_THREAD = 0x00010000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_PASS, _FAIL = 0x7FFF0000, 0x00050000


def _program(machine: str) -> bytes:
    """The filter, in classic BPF: each instruction is (code, jump if true, jump if false, value)."""
    column, architecture = _MACHINES[machine]
    refuse = (_RETURN, 0, 0, _FAIL | errno.EPERM)
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, architecture), refuse, (_LOAD, 0, 0, 0)]
    steps += [(_AT_LEAST, 0, 1, 0x40000000), refuse]  # the second table of numbers that x86_64 has
    for numbers in _REFUSED.values():
        if (number := numbers[column]) is not None:
            steps += [(_EQUAL, 0, 1, number), refuse]
    steps += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _FAIL | errno.ENOSYS)]  # its flags cannot be seen; clone's can
    steps += [(_EQUAL, 0, 3, _CLONE[column]), (_LOAD, 0, 0, 16), (_ANY_BIT, 1, 0, _THREAD), refuse]
    steps += [(_RETURN, 0, 0, _PASS)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def _filter() -> bool:
    if platform.machine() not in _MACHINES:
        return False
    program = _program(platform.machine())
    wanted = _Filter(len(program) // 8, program)
    return bool(_libc.prctl(_SECCOMP, 2, ctypes.byref(wanted), 0, 0) == 0)
