"""Kernel reports in the formats in which people have them.  Inputs are written for these tests: addresses,
names and numbers are invented, functions and layout are those of the kernels named."""

from __future__ import annotations

import contextlib
import html
import json
import quopri
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from ring3.cli.reclaim import reclaim
from ring3.errors import BadInput
from ring3.mm import gfp as G
from ring3.reclaim import explore, log_text, splats
from ring3.reclaim.explain import explain
from ring3.reclaim.explain import text as explanation_text
from ring3.reclaim.outcome import run
from ring3.reclaim.policies import POLICIES
from ring3.reclaim.scenarios import SCENARIOS, scenario

#: Linux 6.12, dmesg: kswapd prunes overlayfs dentries over ext4.
KSWAPD = """
[81234.112201] ------------[ cut here ]------------
[81234.112207] WARNING: CPU: 3 PID: 87 at mm/page_alloc.c:4240 __alloc_pages_noprof+0x9e1/0x1140
[81234.112219] Modules linked in: overlay ext4 jbd2 mbcache
[81234.112230] CPU: 3 UID: 0 PID: 87 Comm: kswapd0 Not tainted 6.12.9 #1
[81234.112236] RIP: 0010:__alloc_pages_slowpath.constprop.0+0x5d1/0x1140
[81234.112244] RSP: 0018:ffffa0c1803f3688 EFLAGS: 00010202
[81234.112260] Call Trace:
[81234.112263]  <TASK>
[81234.112266]  ? __warn.cold+0x93/0xfa
[81234.112271]  ? __alloc_pages_slowpath.constprop.0+0x5d1/0x1140
[81234.112280]  __alloc_pages_noprof+0x2f1/0x330
[81234.112285]  alloc_pages_mpol_noprof+0x8b/0x1b0
[81234.112290]  __filemap_get_folio+0x1a9/0x340
[81234.112296]  bdev_getblk+0x13a/0x2a0
[81234.112301]  ext4_read_inode_bitmap+0xc9/0x640 [ext4]
[81234.112340]  ext4_free_inode+0x14f/0x5a0 [ext4]
[81234.112370]  ext4_evict_inode+0x3b2/0x6a0 [ext4]
[81234.112400]  evict+0x10b/0x290
[81234.112404]  iput+0x1c6/0x260
[81234.112408]  dentry_unlink_inode+0xc9/0x120
[81234.112412]  __dentry_kill+0x6e/0x180
[81234.112415]  dput+0xf1/0x1d0
[81234.112420]  ovl_destroy_inode+0x2a/0xb0 [overlay]
[81234.112430]  destroy_inode+0x3d/0x80
[81234.112434]  __dentry_kill+0x6e/0x180
[81234.112437]  shrink_dentry_list+0x6b/0xd0
[81234.112440]  prune_dcache_sb+0x5a/0x90
[81234.112444]  super_cache_scan+0x11e/0x200
[81234.112449]  do_shrink_slab+0x13b/0x350
[81234.112453]  shrink_slab+0x2f4/0x420
[81234.112457]  shrink_node+0x303/0xc70
[81234.112461]  balance_pgdat+0x4c1/0xa10
[81234.112465]  kswapd+0x200/0x3b0
[81234.112470]  kthread+0xd2/0x100
[81234.112474]  ret_from_fork+0x34/0x50
[81234.112480]  </TASK>
[81234.112482] ---[ end trace 0000000000000000 ]---
"""

#: syzbot, Linux 7.2: fat under direct reclaim, with places and inlined functions.
FAT = """
------------[ cut here ]------------
WARNING: mm/page_alloc.c:4813 at __alloc_pages_slowpath+0xc42/0xcf0 mm/page_alloc.c:4813, CPU#1: syz.2.77/7411
Modules linked in:
CPU: 1 UID: 0 PID: 7411 Comm: syz.2.77 Not tainted 7.2.0-syzkaller #0 PREEMPT(full)
RIP: 0010:__alloc_pages_slowpath+0xc42/0xcf0 mm/page_alloc.c:4813
Call Trace:
 <TASK>
 __alloc_frozen_pages_noprof+0x319/0x370 mm/page_alloc.c:5260
 alloc_pages_mpol+0x232/0x4a0 mm/mempolicy.c:2486
 __filemap_get_folio_mpol+0x3a1/0xa10 mm/filemap.c:2012
 __filemap_get_folio include/linux/pagemap.h:780 [inline]
 grow_dev_folio fs/buffer.c:960 [inline]
 grow_buffers fs/buffer.c:1026 [inline]
 __getblk_slow fs/buffer.c:1044 [inline]
 bdev_getblk+0x19a/0x620 fs/buffer.c:1439
 __bread_gfp+0x89/0x3a0 fs/buffer.c:1491
 sb_bread include/linux/buffer_head.h:348 [inline]
 fat12_ent_bread+0x1a2/0x2e0 fs/fat/fatent.c:77
 fat_ent_read+0x2d4/0x7b0 fs/fat/fatent.c:372
 fat_free+0x1e1/0x600 fs/fat/file.c:357
 fat_truncate_blocks+0x148/0x280 fs/fat/file.c:398
 fat_free_eofblocks fs/fat/inode.c:636 [inline]
 fat_evict_inode+0x1b3/0x2c0 fs/fat/inode.c:662
 evict+0x504/0x9c0 fs/inode.c:822
 dispose_list fs/inode.c:870 [inline]
 prune_icache_sb+0x21b/0x2c0 fs/inode.c:1010
 super_cache_scan+0x39b/0x4b0 fs/super.c:226
 do_shrink_slab+0x6ef/0x1110 mm/shrinker.c:445
 shrink_slab+0x7ef/0x10d0 mm/shrinker.c:676
 shrink_one+0x28a/0x7c0 mm/vmscan.c:4955
 shrink_node+0x314e/0x3760 mm/vmscan.c:6100
 shrink_zones mm/vmscan.c:6380 [inline]
 do_try_to_free_pages+0x668/0x1960 mm/vmscan.c:6463
 try_to_free_pages+0x8a2/0xf30 mm/vmscan.c:6690
 __perform_reclaim mm/page_alloc.c:4390 [inline]
 __alloc_pages_direct_reclaim+0x144/0x300 mm/page_alloc.c:4412
 __alloc_pages_slowpath+0x5ff/0xcf0 mm/page_alloc.c:4932
 alloc_pages_mpol+0x232/0x4a0 mm/mempolicy.c:2486
 vma_alloc_folio_noprof+0xe4/0x200 mm/mempolicy.c:2521
 do_anonymous_page mm/memory.c:5000 [inline]
 handle_mm_fault+0x1740/0x3400 mm/memory.c:6200
 exc_page_fault+0x73/0x100 arch/x86/mm/fault.c:1520
 asm_exc_page_fault+0x26/0x30 arch/x86/include/asm/idtentry.h:618
 </TASK>
"""

#: A lockdep report quoted twice in a mail.
LOCKS = """>>
>> [  304.778123] ======================================================
>> [  304.778125] WARNING: possible circular locking dependency detected
>> [  304.778127] 7.2.0-rc3 #12 Not tainted
>> [  304.778129] ------------------------------------------------------
>> [  304.778131] kswapd0/61 is trying to acquire lock:
>> [  304.778133] ffff888103a4e0a8 (&sbi->fat_lock){+.+.}-{4:4}, at: fat_free_clusters+0x9c/0x3e0 [fat]
>> [  304.778140]
>> [  304.778141] but task is already holding lock:
>> [  304.778143] ffffffff8d1a2f20 (fs_reclaim){+.+.}-{0:0}, at: balance_pgdat+0x3f1/0xa50
>> [  304.778150]
>> [  304.778151] which lock already depends on the new lock.
>> [  304.778153]
>> [  304.778154] the existing dependency chain (in reverse order) is:
>> [  304.778156]
>> [  304.778157] -> #1 (fs_reclaim){+.+.}-{0:0}:
>> [  304.778160]        fs_reclaim_acquire+0x9d/0xd0
>> [  304.778163]        __kmalloc_cache_noprof+0x52/0x3f0
>> [  304.778167]        fat_cache_add+0x1c4/0x310 [fat]
>> [  304.778171]        fat_get_cluster+0x2cf/0x5a0 [fat]
>> [  304.778175]
>> [  304.778176] -> #0 (&sbi->fat_lock){+.+.}-{4:4}:
>> [  304.778179]        __lock_acquire+0x1490/0x2230
>> [  304.778182]        lock_acquire+0xd0/0x2e0
>> [  304.778185]        __mutex_lock+0xba/0xe10
>> [  304.778188]        fat_free_clusters+0x9c/0x3e0 [fat]
>> [  304.778192]        fat_evict_inode+0xb5/0x180 [fat]
>> [  304.778196]        evict+0x10b/0x290
>> [  304.778199]
>> [  304.778240] stack backtrace:
>> [  304.778242] CPU: 1 UID: 0 PID: 61 Comm: kswapd0 Not tainted 7.2.0-rc3 #12
>> [  304.778246] Call Trace:
>> [  304.778248]  <TASK>
>> [  304.778250]  dump_stack_lvl+0x5d/0x80
>> [  304.778253]  print_circular_bug.cold+0x178/0x1be
>> [  304.778260]  __mutex_lock+0xba/0xe10
>> [  304.778263]  fat_free_clusters+0x9c/0x3e0 [fat]
>> [  304.778266]  fat_truncate_blocks+0x148/0x280 [fat]
>> [  304.778268]  fat_evict_inode+0xb5/0x180 [fat]
>> [  304.778270]  evict+0x10b/0x290
>> [  304.778272]  prune_icache_sb+0x21b/0x2c0
>> [  304.778274]  super_cache_scan+0x39b/0x4b0
>> [  304.778276]  do_shrink_slab+0x6ef/0x1110
>> [  304.778278]  shrink_slab+0x7ef/0x10d0
>> [  304.778280]  balance_pgdat+0x4c1/0xa50
>> [  304.778282]  kswapd+0x200/0x3b0
>> [  304.778284]  </TASK>
>> """

#: syslog: a task hung in ext4's eviction, inside direct reclaim.
HUNG = """Nov  3 04:11:09 node7 kernel:
Nov  3 04:11:09 n7 kernel: [ 9120.551001] INFO: task postgres:2214 blocked for more than 122 seconds.
Nov  3 04:11:09 n7 kernel: [ 9120.551010]       Not tainted 6.12.9 #1
Nov  3 04:11:09 n7 kernel: [ 9120.551015] task:postgres  state:D stack:0  pid:2214 tgid:2214 ppid:1
Nov  3 04:11:09 n7 kernel: [ 9120.551020] Call Trace:
Nov  3 04:11:09 n7 kernel: [ 9120.551022]  <TASK>
Nov  3 04:11:09 n7 kernel: [ 9120.551024]  __schedule+0x425/0x1460
Nov  3 04:11:09 n7 kernel: [ 9120.551028]  schedule+0x27/0xf0
Nov  3 04:11:09 n7 kernel: [ 9120.551032]  start_this_handle+0x1c7/0x5f0 [jbd2]
Nov  3 04:11:09 n7 kernel: [ 9120.551036]  jbd2__journal_start+0xf7/0x1e0 [jbd2]
Nov  3 04:11:09 n7 kernel: [ 9120.551040]  __ext4_journal_start_sb+0x11d/0x1c0 [ext4]
Nov  3 04:11:09 n7 kernel: [ 9120.551044]  ext4_evict_inode+0x2b1/0x6a0 [ext4]
Nov  3 04:11:09 n7 kernel: [ 9120.551048]  evict+0x10b/0x290
Nov  3 04:11:09 n7 kernel: [ 9120.551050]  dispose_list+0x5b/0x80
Nov  3 04:11:09 n7 kernel: [ 9120.551052]  prune_icache_sb+0x57/0x80
Nov  3 04:11:09 n7 kernel: [ 9120.551054]  super_cache_scan+0x11e/0x200
Nov  3 04:11:09 n7 kernel: [ 9120.551056]  do_shrink_slab+0x13b/0x350
Nov  3 04:11:09 n7 kernel: [ 9120.551058]  shrink_slab+0x2f4/0x420
Nov  3 04:11:09 n7 kernel: [ 9120.551060]  do_try_to_free_pages+0xd4/0x560
Nov  3 04:11:09 n7 kernel: [ 9120.551062]  try_to_free_pages+0xe1/0x230
Nov  3 04:11:09 n7 kernel: [ 9120.551064]  __alloc_pages_slowpath.constprop.0+0x3a8/0x1140
Nov  3 04:11:09 n7 kernel: [ 9120.551066]  __x64_sys_pread64+0x91/0xc0
Nov  3 04:11:09 n7 kernel: [ 9120.551068]  do_syscall_64+0x82/0x190
Nov  3 04:11:09 n7 kernel: [ 9120.551070]  </TASK>
Nov  3 04:11:09 n7 kernel: """

#: warn_alloc, with the mask printed.
FAILURE = """
kern  :warn  : [  512.008123] kw: page allocation failure: order:2, mode:0x40c40(GFP_NOFS|__GFP_COMP)
kern  :warn  : [  512.008130] CPU: 0 UID: 0 PID: 311 Comm: kworker/u8:3 Not tainted 7.2.0 #1
kern  :warn  : [  512.008140] Call Trace:
kern  :warn  : [  512.008142]  <TASK>
kern  :warn  : [  512.008150]  warn_alloc+0x165/0x1e0
kern  :warn  : [  512.008152]  __alloc_pages_slowpath+0xd10/0xd50
kern  :warn  : [  512.008154]  alloc_slab_page+0x41/0x110
kern  :warn  : [  512.008156]  kmem_cache_alloc_noprof+0x1c5/0x3d0
kern  :warn  : [  512.008158]  worker_thread+0x196/0x310
"""


def test_kswapd_through_overlayfs() -> None:
    (splat,) = splats.parse(KSWAPD)
    assert (splat.kind, splat.task, splat.pid) == ("warn", "kswapd0", 87)
    answer = explain(splat)
    assert (answer.entry, answer.shrinker) == ("kswapd", "super_cache_scan")
    assert (answer.filesystem, answer.eviction) == ("ext4", "ext4_evict_inode")
    assert answer.allocation == "__filemap_get_folio"
    assert answer.flags is not None
    assert answer.flags & G.NOFAIL
    assert answer.scenario == "overlay-ext4-kswapd"
    parts = [step.part for step in answer.steps]
    assert parts.index("reclaim") < parts.index("shrinker") < parts.index("route")
    assert parts.index("stacked") < parts.index("eviction") < parts.index("need")


def test_fat_with_places() -> None:
    (splat,) = splats.parse(FAT)
    assert (splat.task, splat.pid) == ("syz.2.77", 7411)
    answer = explain(splat)
    assert (answer.entry, answer.filesystem) == ("direct", "fat")
    assert answer.scenario == "fat-linked-direct"
    by_function = {step.function: step.place for step in answer.steps}
    assert by_function["fat_evict_inode"] == "fs/fat/inode.c:662"
    assert by_function["prune_icache_sb"] == "fs/inode.c:1010"
    assert answer.steps[0].part == "entry"
    assert answer.flags == G.GFP_NOFS | G.MOVABLE | G.NOFAIL


def test_lockdep_in_a_mail() -> None:
    (splat,) = splats.parse(LOCKS)
    assert (splat.kind, splat.wanted, splat.held) == ("lockdep", "&sbi->fat_lock", "fs_reclaim")
    assert [lock for lock, _ in splat.chain] == ["fs_reclaim", "&sbi->fat_lock"]
    answer = explain(splat)
    assert (answer.entry, answer.task) == ("kswapd", "kswapd0")
    told = " ".join(answer.verdict)
    assert "&sbi->fat_lock is taken inside reclaim" in told
    assert "made by fat_cache_add" in told


def test_hung_task_in_syslog() -> None:
    (splat,) = splats.parse(HUNG)
    assert (splat.kind, splat.task, splat.pid) == ("hung task", "postgres", 2214)
    answer = explain(splat)
    assert "the journal to commit" in " ".join(answer.verdict)
    assert (answer.entry, answer.eviction) == ("direct", "ext4_evict_inode")
    assert answer.steps[0].meaning == "the system call pread64"
    assert (answer.allocation, answer.flags) == ("", None)


def test_allocation_failure_has_its_mask() -> None:
    (splat,) = splats.parse(FAILURE)
    answer = explain(splat)
    assert answer.flags == G.GFP_NOFS | G.COMP
    assert not answer.inferred
    assert answer.entry == ""
    assert answer.scenario == ""


@pytest.mark.parametrize("text", [KSWAPD, FAT, LOCKS, HUNG, FAILURE])
@pytest.mark.parametrize(
    "prefix",
    [
        "> ",
        "> > ",
        "| ",
        "+ ",
        "<4>",
        "Nov 13 09:00:01 host kernel: ",
        "Nov 13 09:00:01 host kernel:",
        "Nov 13 09:00:01 host kernel[12]: ",
        "2026-11-29T21:57:32.123456+00:00 host kernel: ",
        "2026-11-29T21:57:32,123456+00:00 ",  # dmesg --time-format iso
        "2026-11-29T21:57:32.1234567Z ",  # a continuous-integration log
        "[  812.345678][  T123] ",
        "[  812.345678] [    C0] ",
        "[  812.345678] host kernel: ",  # journalctl -o short-monotonic
        "[  812.345678 <    0.000003>] ",  # dmesg -d
        "[  +0.000003] ",  # dmesg -e
        "[Nov29 21:57] ",
        "[Sun Nov 29 21:57:32 2026] ",
        "11-29 21:57:32.123  root     0     0 W KERNEL  : [  812.345678] ",  # logcat -v threadtime
        "11-29 21:57:32.123     0     0 W         : ",
        "11-29 21:57:32.123 W/KERNEL  (    0): [  812.345678] ",
        "[  812.345678]  [3:        kswapd0:  123] ",
        "<4>[  812.345678] .(3)[123:kswapd0]",
    ],
)
def test_any_wrapping_reads_the_same(text: str, prefix: str) -> None:
    plain = [log_text.bare(line) for line in text.split("\n")]
    wrapped = "\n".join(prefix + line for line in plain)
    assert explain(splats.parse(wrapped)[0]) == explain(splats.parse(text)[0])


def _saved_page(text: str) -> bytes:
    body = html.escape(text).replace("+0x", "&#43;0x")
    return f"<!doctype html><html><body><pre>{body}</pre><br/></body></html>".encode()


def _mail(encoding: str) -> Callable[[str], bytes]:
    def mail(text: str) -> bytes:
        message = EmailMessage()
        message["From"], message["Subject"] = "someone@example.org", "WARN while memory is short"
        message.set_content(text, cte=encoding)
        return message.as_bytes()

    return mail


@pytest.mark.parametrize("text", [KSWAPD, FAT, LOCKS, HUNG, FAILURE])
@pytest.mark.parametrize(
    "wrap",
    [
        _saved_page,
        _mail("quoted-printable"),
        _mail("base64"),
        lambda text: quopri.encodestring(f"a=b\n{text}".encode()),  # the body alone
        lambda text: b"\xff\0\x80" * 1000 + b"\n" + text.encode() + b"\n" + b"\0" * 5000,
    ],
    ids=["page", "quoted-printable", "base64", "body", "binary"],
)
def test_any_file_reads_the_same(text: str, wrap: Callable[[str], bytes], tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_bytes(wrap(text))
    assert explain(splats.read(path)[0]) == explain(splats.parse(text)[0])


def test_of_a_large_log_the_reports_are_read(tmp_path: Path) -> None:
    path = tmp_path / "console"
    noise = b"nothing of interest\r\n" * 900_000
    path.write_bytes(noise + KSWAPD.encode() + noise + HUNG.encode() + b"x" * 3_000_000)
    assert path.stat().st_size > log_text.MAX_BYTES
    kswapd, hung = splats.read(path)
    assert kswapd.line == 900_000 + 3
    assert explain(kswapd) == explain(splats.parse(KSWAPD)[0])
    assert explain(hung) == explain(splats.parse(HUNG)[0])


@pytest.mark.parametrize("text", [KSWAPD, FAT, LOCKS, HUNG, FAILURE])
def test_a_truncated_report_is_read_as_far_as_it_goes(text: str) -> None:
    for end in range(0, len(text), 97):
        for splat in splats.parse(text[:end]):
            explain(splat)


#: Parts of an explanation that are the model's, too.
MODELLED = {"reclaim", "shrinker", "stacked", "unlinked", "evict", "eviction", "need", "block"}


@pytest.mark.parametrize("text", [KSWAPD, FAT])
def test_the_scenario_shows_the_same(text: str) -> None:
    """Run as today, it warns with the functions of the report, in the same order."""
    answer = explain(splats.parse(text)[0])
    wanted = [step.function for step in reversed(answer.steps) if step.part in MODELLED]
    assert len(wanted) >= 6
    stacks = [
        [frame.function.rpartition(".")[2] for frame in warn.stack]
        for warn in run(SCENARIOS[answer.scenario], POLICIES["as-today"]()).nofail_warns
    ]
    assert any(_in_order(wanted, stack) for stack in stacks)


def _in_order(wanted: list[str], stack: list[str]) -> bool:
    rest = iter(stack)
    return all(name in rest for name in wanted)


def test_the_scenario_hangs_on_the_same() -> None:
    """A task in direct reclaim waits for the journal in ext4's eviction."""
    answer = explain(splats.parse(HUNG)[0])
    assert answer.scenario == "ext4-unlinked-transaction"
    found = explore.explore("as-today", [answer.scenario], schedules=20, budget=20).found[
        "deadlock"
    ]
    assert "alloc0/4 waits for wait queue jbd2/ext4 under PF_MEMALLOC" in found.message
    waits_for_io = HUNG.replace("start_this_handle", "__wait_on_buffer").replace("[jbd2]", "")
    answer = explain(splats.parse(waits_for_io)[0])
    assert answer.scenario == "ext4-unlinked-direct+lost"
    outcome = run(scenario(answer.scenario), POLICIES["as-today"]())
    assert "I/O of block" in outcome.deadlock
    assert "under PF_MEMALLOC" in outcome.deadlock


def test_where_there_is_no_scenario_it_says_why() -> None:
    for text, reason in (
        (LOCKS, "the allocation under that lock, elsewhere, is not modelled"),
        (KSWAPD.replace("ext4_evict_inode", "btrfs_evict_inode"), "btrfs is not modelled"),
        (KSWAPD.replace("ext4_evict_inode", "xfs_fs_evict_inode"), "evicts without any allocation"),
        (HUNG.replace("start_this_handle", "mutex_lock"), "nothing in it waits in an eviction"),
        (HUNG.replace("ext4_evict_inode", "whatever"), "no inode of a known filesystem"),
    ):
        answer = explain(splats.parse(text)[0])
        assert answer.scenario == ""
        assert reason in answer.unmodelled
        assert reason in explanation_text(answer)


def test_several_reports_in_one_log() -> None:
    kinds = [splat.kind for splat in splats.parse(KSWAPD + HUNG + LOCKS + FAILURE)]
    assert kinds == ["warn", "hung task", "lockdep", "allocation failure"]


@pytest.mark.parametrize(
    "name",
    [
        "fat-linked-direct",
        "fat-linked-kswapd",
        "ext4-linked-direct",
        "ext4-unlinked-kswapd",
        "f2fs-linked-direct",
        "overlay-ext4-kswapd",
    ],
)
def test_the_model_s_own_reports(name: str) -> None:
    """What a scenario warns of is explained as that scenario."""
    for warn in run(SCENARIOS[name], POLICIES["as-today"]()).nofail_warns:
        (splat,) = splats.parse(str(warn))
        answer = explain(splat)
        assert answer.scenario == name
        assert answer.flags is not None
        assert answer.flags & G.NOFAIL
        assert not answer.inferred


@given(st.text(max_size=400))
def test_any_text(text: str) -> None:
    for splat in splats.parse(text):
        explain(splat)


LINES = [line for text in (KSWAPD, FAT, LOCKS, HUNG, FAILURE) for line in text.split("\n")]


@given(st.lists(st.sampled_from(LINES) | st.text(max_size=30), max_size=60))
def test_shuffled_reports(lines: list[str]) -> None:
    for splat in splats.parse("\n".join(lines)):
        explain(splat)


def test_hostile_files(tmp_path: Path) -> None:
    path = tmp_path / "splat"
    for content in (
        b"",
        b"\0" * 5000,
        b"[" * 100_000,
        b"> " * 100_000,
        b"WARNING: at " + b"a" * 200_000,
    ):
        path.write_bytes(content)
        with contextlib.suppress(BadInput):
            splats.read(path)
    path.write_bytes(b"x" * (log_text.MAX_BYTES + 1))
    with pytest.raises(BadInput, match="no WARN"):
        splats.read(path)
    path.write_bytes(b"\n" * (log_text.MAX_LINES + 1))
    with pytest.raises(BadInput, match="lines"):
        splats.read(path)


def test_command(tmp_path: Path) -> None:
    path = tmp_path / "dmesg"
    path.write_text(FAILURE + KSWAPD)
    done = CliRunner().invoke(reclaim, ["explain", str(path)])
    assert done.exit_code == 0
    assert "overlay-ext4-kswapd" in done.output
    assert "kworker" not in done.output
    done = CliRunner().invoke(reclaim, ["explain", str(path), "--all", "--json"])
    assert [answer["kind"] for answer in json.loads(done.output)] == ["allocation failure", "warn"]
