"""Structs, constants and numbers of calls against the kernel's user headers (UAPI 7.2), on every variant.

Two objects are compiled for each variant, one with our headers and one with the kernel's alone; each holds
the sizes and offsets of STRUCTS, and the values of all constants that both define in different words.
"""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import pytest

from ring3 import linux_source
from ring3.arch import ARCHS, Arch
from ring3.elf import Elf
from ring3.errors import MissingPart
from ring3.nolibc import build, generate, toolchain, uapi

#: Ours | the kernel's; then members: one name, or ours=the kernel's.  ``%d`` is 64 where fcntl64 is.  A
#: number before it: only where words have that many bits.
STRUCTS = """
struct flock | struct flock%d | l_type l_whence l_start l_len l_pid
struct timespec | struct __kernel_timespec | tv_sec
32 struct timeval | struct __kernel_sock_timeval | tv_sec tv_usec
64 struct timeval | struct __kernel_old_timeval | tv_sec tv_usec
64 struct itimerval | struct __kernel_old_itimerval | it_interval it_value
64 struct timespec | struct timespec | tv_sec tv_nsec
struct itimerspec | struct __kernel_itimerspec | it_interval it_value
struct rlimit | struct rlimit64 | rlim_cur rlim_max
struct rusage | struct rusage | ru_utime ru_stime ru_maxrss ru_minflt ru_majflt ru_inblock ru_nvcsw ru_nivcsw
struct epoll_event | struct epoll_event | events data
struct winsize | struct winsize | ws_row ws_col ws_xpixel ws_ypixel
struct utsname | struct new_utsname | sysname nodename release version machine domainname
struct timex | struct __kernel_timex | modes offset freq status constant time tick shift stabil stbcnt tai
struct sockaddr_storage | struct __kernel_sockaddr_storage |
struct sockaddr_in | struct sockaddr_in | sin_family sin_port sin_addr
struct sockaddr_in6 | struct sockaddr_in6 | sin6_port sin6_flowinfo sin6_addr sin6_scope_id
struct sockaddr_un | struct sockaddr_un | sun_family sun_path
struct ether_header | struct ethhdr | ether_dhost=h_dest ether_shost=h_source ether_type=h_proto
struct ip | struct iphdr | ip_tos=tos ip_len=tot_len ip_id=id ip_off=frag_off ip_p=protocol ip_src=saddr
struct ip6_hdr | struct ipv6hdr |
struct iovec | struct iovec | iov_base iov_len
struct pollfd | struct pollfd | fd events revents
struct termios | struct termios | c_iflag c_oflag c_cflag c_lflag c_line c_cc
struct statx | struct statx | stx_mode stx_ino stx_size stx_btime
struct inotify_event | struct inotify_event | wd mask cookie len
struct signalfd_siginfo | struct signalfd_siginfo | ssi_signo ssi_pid ssi_ptr
struct mq_attr | struct mq_attr | mq_flags mq_maxmsg mq_msgsize mq_curmsgs
siginfo_t | siginfo_t | si_signo si_errno si_code si_pid si_uid si_addr si_value
stack_t | stack_t | ss_sp ss_flags ss_size
struct tms | struct tms | tms_utime tms_cstime
struct sigevent | struct sigevent | sigev_value sigev_signo sigev_notify
fsid_t | __kernel_fsid_t |
"""
OURS = """
dirent.h fcntl.h mqueue.h net/ethernet.h net/if.h netinet/in.h netinet/ip.h netinet/ip6.h netinet/tcp.h poll.h
sched.h setjmp.h signal.h stdio.h stdlib.h string.h sys/auxv.h sys/epoll.h sys/eventfd.h
sys/fanotify.h sys/file.h sys/inotify.h sys/ioctl.h sys/ipc.h sys/mman.h sys/mount.h sys/msg.h
sys/personality.h sys/prctl.h sys/ptrace.h sys/random.h sys/reboot.h sys/resource.h sys/select.h
sys/sem.h sys/shm.h sys/signalfd.h sys/socket.h sys/stat.h sys/statfs.h sys/statvfs.h sys/syscall.h
sys/time.h sys/timerfd.h sys/times.h sys/timex.h sys/uio.h sys/un.h sys/utsname.h sys/wait.h
sys/xattr.h termios.h time.h unistd.h
"""
KERNEL = """
asm/errno.h asm/signal.h asm/siginfo.h asm/socket.h asm/sockios.h asm/statfs.h asm/poll.h
linux/auxvec.h linux/close_range.h linux/eventfd.h linux/eventpoll.h linux/fadvise.h linux/falloc.h
linux/fanotify.h linux/fcntl.h linux/futex.h linux/if_ether.h linux/in.h linux/in6.h linux/inotify.h
linux/ioctl.h linux/ip.h linux/ipc.h linux/ipv6.h linux/limits.h linux/memfd.h linux/mman.h linux/mount.h
linux/mqueue.h linux/msg.h linux/openat2.h linux/personality.h linux/prctl.h linux/ptrace.h
linux/random.h linux/reboot.h linux/resource.h linux/sched.h linux/sched/types.h linux/sem.h
linux/shm.h linux/signalfd.h linux/socket.h linux/stat.h linux/sysinfo.h linux/tcp.h linux/termios.h
linux/time.h linux/time_types.h linux/timerfd.h linux/times.h linux/timex.h linux/uio.h linux/un.h
linux/utsname.h linux/wait.h linux/xattr.h
"""
#: Ours is another on purpose.
MEANT = {
    **dict.fromkeys(("F_GETLK", "F_SETLK", "F_SETLKW"), "the commands for 64-bit offsets"),
    "RLIM_INFINITY": "limits have 64 bits here",
    "SIGRTMAX": "the kernel's is the number of signals",
    "NSIG": "one more than the last",
    "_NSIG": "one more than the last",
    "FD_SETSIZE": "the same in bits",
}


def _includes(names: list[str]) -> str:
    return "".join(f"#include <{name}>\n" for name in names)


def _structs(arch: Arch) -> list[tuple[str, str, list[tuple[str, str]]]]:
    wide = "64" if arch.elf.bits == 32 and arch.name != "x32" else ""
    found = []
    for line in STRUCTS.strip().splitlines():
        ours, theirs, members = (part.strip() for part in line.split("|"))
        if ours[:2].isdigit():
            if int(ours[:2]) != arch.elf.bits:
                continue
            ours = ours[3:]
        pairs = [(m.split("=")[0], m.split("=")[-1]) for m in members.split()]
        found.append((ours, theirs.replace("%d", wide), pairs))
    return found


class Compiled:
    """One side: the words of the compiler and the includes that come first."""

    def __init__(self, words: list[str], head: str, folder: Path) -> None:
        self.words, self.head, self.folder = words, head, folder

    def macros(self) -> dict[str, str]:
        """Name -> fully expanded text, of the macros without parameters."""
        text = self._run(self.head, "-E", "-dM")
        names = re.findall(r"^#define ([A-Z]\w*) \S", text, re.MULTILINE)
        # In a string the name is not expanded.
        marked = self.head + "".join(f'@@"{name}" {name}\n' for name in names)
        lines = re.findall(r'^@@"(\w+)" (.*)$', self._run(marked, "-E", "-P"), re.MULTILINE)
        return {name: " ".join(value.split()) for name, value in lines}

    def values(self, expressions: list[str]) -> list[int]:
        """Constant integers, as the compiler computes them."""
        entries = ",\n".join(f"(long long)({text})" for text in expressions)
        source = self.head + (
            '__attribute__((__section__(".numbers"), __used__)) static const long long numbers[] = {\n'
            f"{entries}\n}};\n"
        )
        out = self.folder / "numbers.o"
        self._run(source, "-c", "-o", str(out))
        with Elf(out) as elf:
            section = elf.section(".numbers")
            assert section is not None
            data = bytes(elf.contents(section))
            order = ">" if elf.endian == "big" else "<"
        return [n for (n,) in struct.iter_unpack(order + "q", data)]

    def _run(self, source: str, *flags: str) -> str:
        path = self.folder / "side.c"
        path.write_text(source)
        done = subprocess.run(
            [*self.words, "-w", *flags, str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[:3000]
        return done.stdout


def _sides(variant: str, folder: Path) -> tuple[Arch, Compiled, Compiled]:
    arch = ARCHS[variant]
    try:
        compiler = [*toolchain.find(arch).command, "-nostdinc", "-std=gnu11"]
        kernel = ["-isystem", str(uapi.folder(arch))]
    except MissingPart as missing:
        pytest.skip(str(missing))
    (folder / "ours").mkdir()
    (folder / "theirs").mkdir()
    # User space has no time_t from the kernel, and its headers want one in SO_RCVTIMEO.
    theirs = "typedef long long time_t;\n#include <stddef.h>\n"
    builtin = subprocess.run(
        [*compiler[:-2], "-print-file-name=include"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return (
        arch,
        Compiled(
            [*compiler, "-I", str(build.include_folder(arch)), *kernel],
            _includes(["stddef.h", *OURS.split()]),
            folder / "ours",
        ),
        Compiled(
            [*compiler, *kernel, "-isystem", builtin],
            theirs + _includes(KERNEL.split()),
            folder / "theirs",
        ),
    )


@pytest.mark.oracle
@pytest.mark.parametrize("variant", generate.SUPPORTED)
def test_structs_have_the_kernels_layout(variant, tmp_path):
    arch, ours, theirs = _sides(variant, tmp_path)
    names, left, right = [], [], []
    for our_type, their_type, members in _structs(arch):
        names.append(f"sizeof({our_type})")
        left.append(f"sizeof({our_type})")
        right.append(f"sizeof({their_type})")
        for our_member, their_member in members:
            for what in ("offsetof({0}, {1})", "sizeof((({0} *)0)->{1})"):
                names.append(what.format(our_type, our_member))
                left.append(what.format(our_type, our_member))
                right.append(what.format(their_type, their_member))
    found = zip(names, ours.values(left), theirs.values(right), strict=True)
    assert [(name, a, b) for name, a, b in found if a != b] == []


@pytest.mark.oracle
@pytest.mark.parametrize("variant", generate.SUPPORTED)
def test_constants_have_the_kernels_values(variant, tmp_path):
    _, ours, theirs = _sides(variant, tmp_path)
    left, right = ours.macros(), theirs.macros()
    plain = re.compile(r"(?:0[xX][0-9a-fA-F]+|\d+)[uUlL]*|[-+*|&~<>()\s]")
    differing = [
        name
        for name in sorted(left.keys() & right.keys() - MEANT.keys())
        if left[name] != right[name]
        and not plain.sub("", left[name]).strip()
        and not plain.sub("", right[name]).strip()
    ]
    assert len(left.keys() & right.keys()) > 1500
    if differing:
        found = zip(differing, ours.values(differing), theirs.values(differing), strict=True)
        assert [(name, a, b) for name, a, b in found if a != b] == []


#: Where the kernel's table of calls lies, and which of its ABIs are the variant's.
TABLES = {
    "x86_64": ("arch/x86/entry/syscalls/syscall_64.tbl", "common 64"),
    "x32": ("arch/x86/entry/syscalls/syscall_64.tbl", "common x32"),
    "i386": ("arch/x86/entry/syscalls/syscall_32.tbl", "i386"),
    "arm64": ("scripts/syscall.tbl", "common 64 renameat rlimit memfd_secret"),
    "arm": ("arch/arm/tools/syscall.tbl", "common eabi"),
    "riscv64": ("scripts/syscall.tbl", "common 64 riscv rlimit memfd_secret"),
    "riscv32": ("scripts/syscall.tbl", "common 32 riscv memfd_secret"),
    "ppc": ("arch/powerpc/kernel/syscalls/syscall.tbl", "common nospu 32"),
    "ppc64": ("arch/powerpc/kernel/syscalls/syscall.tbl", "common nospu 64"),
    "s390x": ("arch/s390/kernel/syscalls/syscall.tbl", "common 64"),
    "mips32be": ("arch/mips/kernel/syscalls/syscall_o32.tbl", "o32"),
    "mipsn32be": ("arch/mips/kernel/syscalls/syscall_n32.tbl", "n32"),
    "mips64be": ("arch/mips/kernel/syscalls/syscall_n64.tbl", "n64"),
    "loongarch": ("scripts/syscall.tbl", "common 64 memfd_secret"),
    "m68k": ("arch/m68k/kernel/syscalls/syscall.tbl", "common"),
    "sparc32": ("arch/sparc/kernel/syscalls/syscall.tbl", "common 32"),
    "sparc64": ("arch/sparc/kernel/syscalls/syscall.tbl", "common 64"),
    "sh4": ("arch/sh/kernel/syscalls/syscall.tbl", "common"),
    "parisc32": ("arch/parisc/kernel/syscalls/syscall.tbl", "common 32"),
    "openrisc": ("scripts/syscall.tbl", "common 32 or1k time32 stat64 rlimit renameat"),
    "alpha": ("arch/alpha/kernel/syscalls/syscall.tbl", "common"),
}


@pytest.mark.oracle
@pytest.mark.parametrize("variant", TABLES)
def test_every_call_of_the_kernels_table_has_its_name(variant, tmp_path):
    _, ours, _ = _sides(variant, tmp_path)
    try:
        table = linux_source.kernel_source("7.2") / TABLES[variant][0]
    except MissingPart as missing:
        pytest.skip(str(missing))
    lines = (line.split() for line in table.read_text().splitlines())
    abis = TABLES[variant][1].split()
    calls = {
        words[2]: int(words[0])
        for words in lines
        if len(words) > 2 and words[0].isdigit() and words[1] in abis
    }
    assert len(calls) > 300
    numbers = dict(zip(calls, ours.values([f"SYS_{name}" for name in calls]), strict=True))
    first = {"x32": 0x40000000, "mips32be": 4000, "mips64be": 5000, "mipsn32be": 6000}.get(
        variant, 0
    )
    assert {name: number - first for name, number in numbers.items()} == calls
