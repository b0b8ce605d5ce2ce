"""Assembly that makes an assembler write what is rare in SFrame."""

# What each architecture's function body does in CFI, by function.
_BODIES = {
    "x86_64": {
        "opcodes": [
            "nop",
            ".cfi_adjust_cfa_offset 8",
            ".cfi_rel_offset 6,0",
            ".cfi_val_offset 3,-24",
            "nop",
            ".cfi_def_cfa_register 6",
            "nop",
            ".cfi_remember_state",
            ".cfi_restore 6",
            ".cfi_def_cfa 7,8",
            "nop",
            ".cfi_restore_state",
            "nop",
            ".cfi_same_value 6",
            ".cfi_def_cfa 7,8",
            "nop",
        ],
        "becomes_outermost": ["nop", ".cfi_undefined 16", "nop"],
        "outermost": [".cfi_undefined 16", "nop"],
        "signal": [".cfi_signal_frame", "nop", ".cfi_def_cfa_offset 16", "nop"],
        "drap": [
            "nop",
            ".cfi_def_cfa 10,0",
            "nop",
            ".cfi_escape 0x10,0x06,0x02,0x76,0x00",
            "nop",
            ".cfi_escape 0x0f,0x03,0x76,0x78,0x06",
            "nop",
        ],
        "deep": ["nop", ".cfi_def_cfa_offset 70000", "nop", ".cfi_offset 6,-304", "nop"],
        "in_registers": ["nop", ".cfi_register 16,1", "nop", ".cfi_register 6,9", "nop"],
    },
    "arm64": {
        "opcodes": [
            "nop",
            ".cfi_adjust_cfa_offset 16",
            ".cfi_rel_offset 29,0",
            ".cfi_rel_offset 30,8",
            ".cfi_val_offset 19,-24",
            "nop",
            ".cfi_def_cfa_register 29",
            "nop",
            ".cfi_remember_state",
            ".cfi_restore 29",
            ".cfi_restore 30",
            ".cfi_def_cfa 31,0",
            "nop",
            ".cfi_restore_state",
            "nop",
            ".cfi_same_value 29",
            ".cfi_same_value 30",
            ".cfi_def_cfa 31,0",
            "nop",
        ],
        "ra_only": ["nop", ".cfi_def_cfa_offset 16", ".cfi_offset 30,-16", "nop"],
        "fp_only": ["nop", ".cfi_def_cfa_offset 16", ".cfi_offset 29,-16", "nop"],
        "outermost": [".cfi_undefined 30", "nop"],
        "signed": [
            ".cfi_signal_frame",
            ".cfi_b_key_frame",
            "nop",
            ".cfi_negate_ra_state",
            "nop",
            ".cfi_def_cfa_offset 16",
            ".cfi_offset 30,-16",
            ".cfi_offset 29,-8",
            "nop",
        ],
        "other_base": ["nop", ".cfi_def_cfa 9,0", "nop", ".cfi_register 30,5", "nop"],
    },
    "s390x": {
        "opcodes": [
            "nop",
            ".cfi_adjust_cfa_offset 160",
            ".cfi_offset 11,-72",
            ".cfi_offset 14,-48",
            ".cfi_val_offset 8,-24",
            "nop",
            ".cfi_def_cfa_register 11",
            "nop",
            ".cfi_remember_state",
            ".cfi_restore 11",
            ".cfi_restore 14",
            ".cfi_def_cfa 15,160",
            "nop",
            ".cfi_restore_state",
            "nop",
            ".cfi_same_value 11",
            ".cfi_same_value 14",
            ".cfi_def_cfa 15,160",
            "nop",
        ],
        "ra_only": ["nop", ".cfi_def_cfa_offset 320", ".cfi_offset 14,-48", "nop"],
        "fp_only": ["nop", ".cfi_offset 11,-72", "nop"],
        "outermost": [".cfi_undefined 14", "nop"],
        "in_registers": [
            "nop",
            ".cfi_def_cfa 9,160",
            "nop",
            ".cfi_register 14,18",
            "nop",
            ".cfi_register 11,16",
            "nop",
            ".cfi_def_cfa 15,160",
            "nop",
        ],
    },
}


def assembly(arch: str, only: tuple[str, ...] | None = None) -> str:
    """The functions of ``arch``, perhaps only some of them, as one source file."""
    lines = [" .text", " .cfi_sections .eh_frame, .sframe"]
    for name, body in _BODIES[arch].items():
        if only is None or name in only:
            lines += [f"{name}: .cfi_startproc", *(f" {line}" for line in body), " .cfi_endproc"]
    return "\n".join(lines) + "\n"


#: What binutils 2.47.50 turns into wrong SFrame.
NESTED = """ .text
 .globl nested
nested: .cfi_startproc
 nop
 .cfi_def_cfa_offset 16
 .cfi_remember_state
 nop
 .cfi_def_cfa_offset 32
 .cfi_remember_state
 nop
 .cfi_def_cfa_offset 48
 nop
 .cfi_restore_state
 nop
 .cfi_restore_state
 nop
 .cfi_endproc
"""
FAR_RA = """ .text
 .globl far
far: .cfi_startproc
 nop
 .cfi_def_cfa 5,0
 nop
 .cfi_offset 16,-200
 nop
 .cfi_endproc
"""
ARCHS = tuple(_BODIES)

#: C whose functions keep their frames in different ways.
C = """
#include <stdlib.h>
#include <string.h>
int other(int *);
int calls(int n) { int here[20]; memset(here, n, sizeof here); return other(here) + here[3]; }
int aligned(int n) { int here[8] __attribute__((aligned(64))); here[0] = n; return other(here); }
int sized(int n) { int here[n]; here[0] = 1; return other(here) + here[n - 1]; }
int switches(int n) {
    switch (n) { case 1: return calls(n); case 2: return sized(n) + 1; case 3: abort(); }
    return n ? switches(n - 1) * 3 : 0;
}
int early(int n) { if (!n) return 1; int here[99]; here[1] = n; return other(here) - other(here + n); }
int big(int n) { char here[100000]; here[n] = 1; return other((int *)here) + here[n + 1]; }
int leaf(int n) { return n * 7; }
"""
