"""With which flags code that is not walked allocates whatever its caller says."""

from __future__ import annotations

import pytest

from ring3.audit.boundary import Boundary
from ring3.audit.cexpr import UNKNOWN
from ring3.audit.facts import extract
from ring3.audit.program import Program

_HELPERS = """
    static void *helper(void) { return kmalloc(8, GFP_KERNEL); }
    void *handed(gfp_t gfp) { return kmalloc(8, gfp); }
    static void *again(void) { again(); return kmalloc(8, GFP_NOIO); }
"""


@pytest.mark.parametrize(
    ("body", "flags"),
    [
        ("kmalloc(8, GFP_KERNEL);", "GFP_KERNEL"),
        ("kzalloc_obj(*p);", "GFP_KERNEL"),
        ("alloc_percpu(int);", "GFP_KERNEL"),
        ("pagecache_get_page(mapping, 0, 0, GFP_KERNEL);", ""),
        ("while (n--) p = handed(GFP_NOFS | __GFP_NOFAIL);", "GFP_NOFS|__GFP_NOFAIL"),
        ("if (n) return; helper();", "GFP_KERNEL"),
        ("again();", "GFP_NOIO"),
        ("kmalloc(8, GFP_ATOMIC); helper();", "GFP_KERNEL"),
        ("kmalloc(8, GFP_ATOMIC);", ""),
        ("if (!table) kmalloc(8, GFP_KERNEL);", ""),
        ("if (table) goto out; kmalloc(8, GFP_KERNEL); out: ;", ""),
        ("handed(n ? GFP_KERNEL : GFP_NOIO);", ""),
        ("elsewhere(GFP_KERNEL);", ""),
    ],
)
def test_flags_that_no_caller_decides(body: str, flags: str) -> None:
    source = f"{_HELPERS} void f(int n) {{ {body} }}\n#define g(n) kmalloc(8, GFP_KERNEL)"
    program = Program({"lib/f.c": extract(source.encode())})
    boundary = Boundary(program)
    found = boundary.own_flags(program.by_name["f"][0])
    assert ("" if found == UNKNOWN else program.flag_names(found)) == flags
    for other in ("handed", "g"):
        assert boundary.own_flags(program.by_name[other][0]) == UNKNOWN
