"""The Valhall instruction set, declared once: decoder, assembler, disassembler and executor derive from it.

An instruction is one little-endian 64-bit word: sources in bytes 0 to 3, destination or staging registers at
bit 40, opcode in bits 56:48, the page of special constants in 58:57, flow control in 62:59.

One line of :data:`TABLE` is ``NAME  type=opcode ...  op2=value@shift:mask | modifiers | operands``; a line
declares one encoding for each type.  Modifiers are names from :data:`MODIFIERS` or ``name@bit:size``.
Operands: ``d`` destination; ``W R X`` staging registers written, read, both (``W16`` at bit 16, ``T V``
as texture instructions have them); ``s`` a
source in the next byte (``s@2``: in byte 2) with its decorations; ``name@bit:size`` an immediate (``-``:
signed).  Source decorations: ``an`` negate and absolute, ``swz`` ``widen`` ``lanes`` ``half`` lane selections
by the width of the type (or the width that follows), ``lane8@bit`` ``lane16@bit`` one lane, ``combine``,
``not``, ``64`` a register pair.

Source of the facts: the Valhall description of Mesa's Panfrost (encodings and prose).  What is not in
it (LEA_BUFFER, LD_GCLK and some more) was read off shaders that Mesa 25.0 and 26.2 compile.
"""

from __future__ import annotations

FLOWS = (
    "none", "wait0", "wait1", "wait01", "wait2", "wait02", "wait12", "wait012", "wait0126", "wait",
    "reconverge", "-", "-", "discard", "-", "end",
)  # fmt: skip

#: Sources 0xC0 to 0xDF.
IMMEDIATES = (
    0x00000000, 0xFFFFFFFF, 0x7FFFFFFF, 0xFAFCFDFE, 0x01000000, 0x80002000, 0x70605030, 0xC0B0A090,
    0x03020100, 0x07060504, 0x0B0A0908, 0x0F0E0D0C, 0x13121110, 0x17161514, 0x1B1A1918, 0x1F1E1D1C,
    0x3F800000, 0x3DCCCCCD, 0x3EA2F983, 0x3F317218, 0x40490FDB, 0x00000000, 0x477FFF00, 0x5C005BF8,
    0x2E660000, 0x34000000, 0x38000000, 0x3C000000, 0x40000000, 0x44000000, 0x48000000, 0x42480000,
)  # fmt: skip

#: page -> names of sources 0xE0 + 2i (word 0) and 0xE1 + 2i (word 1).
SPECIAL = {
    0: {
        2: "warp_id",
        4: "framebuffer_size",
        5: "atest_datum",
        6: "sample",
        **{8 + target: f"blend_descriptor_{target}" for target in range(8)},
    },
    1: {1: "thread_local_pointer", 3: "workgroup_local_pointer", 7: "resource_table_pointer"},
    2: {},
    3: {1: "lane_id", 3: "core_id", 15: "program_counter"},
}

_SWIZZLE_8 = "*b0123 b3210 b0101 b2323 b0000 b1111 b2222 b3333 b2301 b1032 b0011 b2233 - - - -"
_SWIZZLE_16 = "h00 h10 *h01 h11 b00 b20 b02 b22 b11 b31 b13 b33 b01 b23 - -"
_SWIZZLE_32 = "*none - h0 h1 b0 b1 b2 b3"
_SWIZZLE_64 = "*none - h0 h1 b0 b1 b2 b3 w0 - - - - - - -"

#: Lane selections: (decoration, width) -> (names in order of value, ``*`` the one that is not written).
SELECTIONS = {
    ("widen", 8): _SWIZZLE_8,
    ("widen", 16): _SWIZZLE_16,
    ("widen", 32): _SWIZZLE_32,
    ("widen", 64): _SWIZZLE_64,
    ("swz", 16): "h00 h10 *h01 h11",
    ("swz", 32): "*none h0 h1 -",
    ("lanes", 0): "b02 - - - b00 b11 b22 b33 - - b01 b23 - - - -",
    ("half", 8): "b00 b10 b20 b30 b01 b11 b21 b31 b02 b12 b22 b32 b03 b13 b23 b33",
    ("lane", 8): "b0 b1 b2 b3",
    ("lane", 16): "h0 h1",
    ("combine", 0): "*none h0 h1 and lowbits - - -",
}

#: Modifier -> (bit, size, names in order of value; ``*`` is not written; no names: a flag or a number).
MODIFIERS: dict[str, tuple[int, int, str]] = {
    "wide_indices": (8, 1, ""),
    "array_enable": (10, 1, ""),
    "texel_offset": (11, 1, ""),
    "shadow": (12, 1, ""),
    "integer_coordinates": (13, 1, ""),
    "fetch_component": (14, 2, "gather4_r gather4_g gather4_b gather4_a"),
    "lod_mode": (13, 3, "zero computed - - explicit computed_bias grdesc -"),
    "lod_bias_disable": (13, 1, ""),
    "lod_clamp_disable": (14, 1, ""),
    "derivative": (15, 1, ""),
    "write_mask": (22, 4, "- r g rg b rb gb rgb a ra ga rga ba rba gba *rgba"),
    "register_type": (26, 2, "- f u s"),
    "dimension": (28, 2, "1d 2d 3d cube"),
    "skip": (39, 1, ""),
    "register_width": (46, 1, "16 32"),
    "secondary_register_width": (47, 1, "16 32"),
    "vartex_register_width": (24, 2, "16 32 16.32 32.32"),
    "atom_opc": (22, 4, "- - aadd - - - - - asmin asmax aumin aumax aand aor axor axchg"),
    "atom_opc_1": (22, 4, "ainc adec aumax1 asmax1 aor1 - - - - - - - - - - -"),
    "inactive": (
        22,
        4,
        "*zero umax i1 v2i1 smin smax v2smin v2smax v4smin v4smax f1 v2f1 infn inf v2infn v2inf",
    ),
    "memory_access": (24, 2, "*none istream estream force"),
    "memory_access_cvt": (37, 3, "*none istream estream force - - - -"),
    "regfmt": (24, 3, "auto - f32 f16 s32 s16 u32 u16"),
    "source_format": (24, 2, "src_flat32 src_flat16 src_f32 src_f16"),
    "vecsize": (28, 2, "*none v2 v3 v4"),
    "slot": (30, 3, "slot0 slot1 slot2 - - - - slot7"),
    "round": (30, 2, "*rte rtp rtn rtz"),
    "result": (30, 2, "i1 f1 m1 u1"),
    "saturate": (30, 1, ""),
    "rhadd": (30, 1, ""),
    "not_result": (30, 1, ""),
    "lane_op": (32, 2, "*none xor accumulate shift"),
    "cmp": (32, 3, "eq gt ge ne lt le gtlt total"),
    "clamp": (32, 2, "*none clamp_0_inf clamp_m1_1 clamp_0_1"),
    "mux": (32, 2, "neg *int_zero fp_zero bit"),
    "sample_and_update": (
        33,
        3,
        "center_store centroid_store sample_store explicit_store center_clobber - sample_clobber "
        "retrieve",
    ),
    "conservative": (35, 1, ""),
    "subgroup": (36, 4, "subgroup2 subgroup4 subgroup8 *subgroup16 - - - - - - - - - - - -"),
    "update": (36, 2, "store retrieve - clobber"),
    "sample": (38, 2, "center centroid sample explicit"),
    "lane8": (36, 3, "*b0 b1 b2 b3 h0 h1 w0 d0"),
    "lane16": (36, 3, "*h0 h1 w0 d0 - - - -"),
    "lane24": (36, 3, "*identity - - - - - - -"),
    "lane32": (36, 3, "*w0 d0 - - - - - -"),
    "lane48": (36, 3, "- - - - *identity - - -"),
    "lane64": (36, 3, "- - - - - - - *identity"),
    "lane96": (36, 3, "- - - - - - *identity -"),
    "lane128": (36, 3, "- - - - - - - *identity"),
    "unsigned": (39, 1, ""),
    "signed": (34, 1, ""),
    "eq": (36, 1, ""),
    "absolute": (40, 1, ""),
    "sqrt": (24, 1, ""),
    "log": (25, 1, ""),
    "second": (24, 1, ""),
    "neg": (38, 1, ""),
    "preserve_null": (39, 1, ""),
    "z": (25, 1, ""),
    "stencil": (24, 1, ""),
    "compare": (26, 1, ""),
}

_TEX = "slot skip register_type register_width write_mask dimension wide_indices array_enable texel_offset"
_VARTEX = "slot skip sample_and_update register_type vartex_register_width dimension array_enable"
_LOADS = "\n".join(
    f"{name} i{bits}={code} op2={index}@27:7 | {hint} lane{bits} unsigned slot | {operands}"
    for name, code, hint, operands in (
        ("LOAD", "060", "memory_access", "W s+64 offset@8:16-"),
        ("LD_BUFFER", "06a", "", "W s s"),
    )
    for index, bits in enumerate((8, 16, 24, 32, 48, 64, 96, 128))
)
_STORES = "\n".join(
    f"STORE i{bits}=061 op2={index}@27:7 | memory_access slot | R s+64 offset@8:16-"
    for index, bits in enumerate((8, 16, 24, 32, 48, 64, 96, 128))
)
_SHIFTS = "\n".join(
    f"{side}SHIFT_{name} i32=0b4 v2i16=0b5 v4i8=0b6 i64=1b7 op2={code:#x}@24:103 "
    f"| {signed} not_result | d s+widen s+lanes s+not"
    for side, left, signed in (("L", 0x100, ""), ("R", 0, "signed"))
    for code, name in ((left, "AND"), (left | 1, "OR"), (left | 2, "XOR"))
)
_INT = "u32=0a0 v2u16=0a1 v4u8=0a2 s32=0a8 v2s16=0a9 v4s8=0aa"
_INT64 = _INT + " u64=1a3 s64=1ab"
_FLOAT = "f32=0a4 v2f16=0a5"

TABLE = f"""
NOP =000 | |
BRANCHZ =01f | conservative eq | s+combine offset@8:27-
DISCARD f32=020 | cmp | s+an+swz s+an+swz
BRANCHZI =02f | conservative eq absolute | s+combine s+64
BARRIER =045 | slot |
LD_GCLK u64=044 | slot | W source@0:8
CSEL f32=154 v2f16=155 u32=150 v2u16=151 s32=158 v2s16=159 | cmp | d s s s s
LD_VAR_SPECIAL =056 | vecsize regfmt sample update slot | W s index@12:4
LD_VAR_BUF_IMM f32=05c f16=05d | slot vecsize source_format sample update | W s index@16:8
LD_VAR_BUF f32=06c f16=06d | slot vecsize source_format sample update | W s s
LD_VAR =064 | slot vecsize regfmt sample update | W s s
LD_VAR_IMM =054 | slot vecsize regfmt sample update | W s table@8:4 index@12:8
LD_VAR_FLAT =055 | slot vecsize regfmt | W s
LD_VAR_FLAT_IMM =041 | slot vecsize regfmt | W table@8:4 index@12:8
LD_ATTR_IMM =066 op2=0@37:3 | vecsize regfmt slot | W s s index@20:4 table@16:4
LD_ATTR =076 op2=0@37:3 | vecsize regfmt slot | W s s s
LD_TEX_IMM =066 op2=1@37:3 | vecsize regfmt slot | W s s index@20:4 table@16:4
LD_TEX =076 op2=1@37:3 | vecsize regfmt slot | W s s s
LEA_ATTR_IMM =067 op2=0@37:3 | slot | W s s table@16:4 index@20:4
LEA_ATTR =077 op2=0@37:3 | vecsize slot | W s s s
LEA_TEX_IMM =067 op2=1@37:3 | slot | W s s table@16:4 index@20:4
LEA_TEX =077 op2=1@37:3 | vecsize slot | W s s s
{_LOADS}
LEA_BUFFER =06b | slot | W s s
LEA_BUF_IMM =05e | slot | W s table@8:4 index@12:8
LEA_BUF =06e | slot | W s s
{_STORES}
LD_CVT =070 | slot memory_access_cvt vecsize regfmt | W s+64 s@2 offset@8:8
ST_CVT =071 | slot memory_access_cvt vecsize regfmt | R s+64 s@2 offset@8:8
LD_TILE =078 | vecsize regfmt slot | W s s s
ST_TILE =079 | vecsize regfmt slot | R s s s
BLEND =07f | slot vecsize regfmt | R s+64 s@2 target@8:8
ATEST =07d | | W s s+swz32 s
ZS_EMIT =07e | z stencil slot | W s s s
V2S16_TO_V2F16 =090 op2=7@16:1f | round | d s+widen16
S32_TO_F32 =090 op2=9@16:1f | round | d s+widen32
V2U16_TO_V2F16 =090 op2=17@16:1f | round | d s+widen16
U32_TO_F32 =090 op2=19@16:1f | round | d s+widen32
S16_TO_S32 =090 op2=4@16:1f | | d s+swz16
S16_TO_F32 =090 op2=5@16:1f | | d s+swz16
U16_TO_U32 =090 op2=14@16:1f | | d s+swz16
U16_TO_F32 =090 op2=15@16:1f | | d s+swz16
F32_TO_S32 =090 op2=c@16:1f | round | d s+an
F32_TO_U32 =090 op2=1c@16:1f | round | d s+an
V2F16_TO_V2S16 =090 op2=e@16:1f | round | d s+an+swz16
V2F16_TO_V2U16 =090 op2=1e@16:1f | round | d s+an+swz16
F16_TO_S32 =090 op2=a@16:1f | round | d s+an+swz16
F16_TO_U32 =090 op2=1a@16:1f | round | d s+an+swz16
F16_TO_F32 =090 op2=b@16:1f | round | d s+an+lane16@28
S8_TO_S32 =090 op2=0@16:1f | | d s+lane8@28
S8_TO_F32 =090 op2=1@16:1f | | d s+lane8@28
U8_TO_U32 =090 op2=10@16:1f | | d s+lane8@28
U8_TO_F32 =090 op2=11@16:1f | | d s+lane8@28
V2S8_TO_V2S16 =090 op2=2@16:1f | | d s+half8
V2S8_TO_V2F16 =090 op2=3@16:1f | | d s+half8
V2U8_TO_V2U16 =090 op2=12@16:1f | | d s+half8
V2U8_TO_V2F16 =090 op2=13@16:1f | | d s+half8
FROUND f32=090 op2=d@16:1f | round | d s+an+swz
FROUND v2f16=090 op2=f@16:1f | round | d s+an+swz
MOV i32=091 op2=0@16:f | | d s
CLZ u32=091 op2=4@16:f | | d s
CLZ v2u16=091 op2=5@16:f | | d s+swz
CLZ v4u8=091 op2=6@16:f | | d s
IABS s32=091 op2=8@16:f | | d s+widen
IABS v2s16=091 op2=9@16:f | | d s+widen
IABS v4s8=091 op2=a@16:f | | d s
POPCOUNT i32=091 op2=c@16:f | | d s
BITREV i32=091 op2=d@16:f | | d s
NOT_OLD i32=091 op2=e@16:f | | d s
NOT_OLD i64=191 op2=e@16:f | | d s+64
WMASK =095 | subgroup | d s
FREXPM f32=099 op2=0@16:f | sqrt log | d s+swz
FREXPM v2f16=099 op2=1@16:f | sqrt log | d s+swz
FREXPE f32=099 op2=2@16:f | sqrt log | d s+swz
FREXPE v2f16=099 op2=3@16:f | sqrt log | d s+swz
FRCP f32=09c op2=0@16:f | | d s+an+swz
FRCP f16=09c op2=1@16:f | | d s+an+swz
FRSQ f32=09c op2=2@16:f | | d s+an+swz
FRSQ f16=09c op2=3@16:f | | d s+an+swz
FLOGD f32=09c op2=8@16:f | | d s+an+swz
FPCLASS f32=09c op2=a@16:f | | d s+an+swz
FPCLASS f16=09c op2=b@16:f | | d s+an+swz
FLOG_TABLE f32=09c op2=c@16:f | | d s+an+swz
FRCP_APPROX f32=09c op2=e@16:f | | d s+an+swz
FRSQ_APPROX f32=09c op2=f@16:f | | d s+an+swz
FSIN_TABLE u6=09c op2=4@16:f | | d s
FCOS_TABLE u6=09c op2=5@16:f | | d s
FSINCOS_OFFSET u6=09c op2=6@16:f | | d s
FEXP_TABLE u4=09c op2=d@16:f | | d s
FADD {_FLOAT} op2=0@16:f | clamp | d s+an+swz s+an+swz
FMIN {_FLOAT} op2=2@16:f | clamp | d s+an+swz s+an+swz
FMAX {_FLOAT} op2=3@16:f | clamp | d s+an+swz s+an+swz
V2F32_TO_V2F16 =0a5 op2=4@16:f | clamp round | d s+an s+an
LDEXP {_FLOAT} op2=6@16:f | round | d s+an+swz s
FEXP f32=0a4 op2=8@16:f | clamp | d s s+an
FADD_LSCALE f32=0a4 op2=9@16:f | clamp | d s+an s+an
FATAN_ASSIST f32=0a4 op2=e@16:f | second | d s s
IADD {_INT64} op2=0@16:f | saturate | d s+widen s+widen
MKVEC v2i16=0a1 op2=5@16:f | | d s+swz s+swz
ISUB {_INT64} op2=1@16:f | saturate | d s+widen s+widen
SEG_ADD u64=1a3 op2=6@16:f | neg preserve_null | d s+64 s+widen
SHADDX u64=1a3 s64=1ab op2=7@16:f | | d s+64 s+widen shift@20:3
IMUL i32=0a0 v2i16=0a1 v4i8=0a2 s32=0a8 v2s16=0a9 v4s8=0aa op2=a@16:f | saturate | d s+widen s+widen
IMULD u64=1a3 op2=a@16:f | saturate | d s+widen s+widen
HADD {_INT} op2=b@16:f | rhadd | d s+widen s+widen
CLPER i32=0a0 v2u16=0a1 v4u8=0a2 s32=0a8 v2s16=0a9 v4s8=0aa u64=1a3 s64=1ab op2=f@16:f \
| subgroup lane_op inactive | d s s+widen
FMA f32=0b2 v2f16=0b3 | clamp | d s+an+swz s+an+swz s+an+swz
{_SHIFTS}
MUX i32=0b8 | mux | d s s s
MUX v2i16=0b9 | mux | d s+swz s+swz s+swz
MUX v4i8=0ba | mux | d s s s
CUBE_SSEL =0bc op2=0@24:f | | d s+an s+an s
CUBE_TSEL =0bc op2=1@24:f | | d s+an s+an s
MKVEC v2i8=0bd | | d s+lane8@38 s+lane8@36 s
CUBEFACE1 =0c0 | | d s+an s+an s+an
CUBEFACE2 =0c1 | | d s+an s+an s+an
IDP v4s8=0c2 op2=0@24:f | saturate | d s s s
IDP v4u8=0c2 op2=1@24:f | saturate | d s s s
ICMP_OR u32=0f0 v2u16=0f1 v4u8=0f2 s32=0f8 v2s16=0f9 v4s8=0fa op2=0@24:3 | cmp result | d s+widen s+widen s
ICMP_AND u32=0f0 v2u16=0f1 v4u8=0f2 s32=0f8 v2s16=0f9 v4s8=0fa op2=1@24:3 | cmp result | d s+widen s+widen s
ICMP_MULTI u32=0f0 s32=0f8 op2=2@24:3 | cmp result | d s+widen s+widen s
FCMP_OR f32=0f4 v2f16=0f5 op2=0@24:3 | cmp result | d s+an+swz s+an+swz s
FCMP_AND f32=0f4 v2f16=0f5 op2=1@24:3 | cmp result | d s+an+swz s+an+swz s
IADD_IMM i32=110 v2i16=111 v4i8=112 | | d s constant@8:32
FADD_IMM f32=114 v2f16=115 | | d s constant@8:32
ATOM1_RETURN i32=069 op2=3@27:7 | slot atom_opc_1 | W s+64 offset@8:8
ATOM1_RETURN i64=069 op2=5@27:7 | slot atom_opc_1 | W s+64 offset@8:8
ATOM i32=068 op2=3@27:7 | slot atom_opc | R s+64 offset@8:8
ATOM i64=068 op2=5@27:7 | slot atom_opc | R s+64 offset@8:8
ATOM_RETURN i32=120 op2=3@27:7 | slot compare atom_opc | W16 X s+64 offset@8:8
ATOM_RETURN i64=120 op2=5@27:7 | slot compare atom_opc | W16 X s+64 offset@8:8
TEX_FETCH =125 | {_TEX} | W16 T s+64
TEX_SINGLE =128 | {_TEX} shadow lod_mode | W16 T s+64
TEX_GATHER =129 | {_TEX} integer_coordinates fetch_component shadow | W16 T s+64
TEX_GRADIENT =12a | {_TEX} lod_bias_disable lod_clamp_disable derivative | W16 T s+64
TEX_DUAL =12f | slot skip register_type register_width secondary_register_width write_mask dimension \
wide_indices array_enable texel_offset shadow lod_mode | W16 T s+64
VAR_TEX_BUF_SINGLE =130 | {_VARTEX} shadow lod_mode | V s+64 s@2
VAR_TEX_BUF_GATHER =131 | {_VARTEX} integer_coordinates fetch_component shadow | V s+64 s@2
VAR_TEX_BUF_GRADIENT =132 | {_VARTEX} shadow lod_bias_disable lod_clamp_disable | V s+64 s@2
VAR_TEX_BUF_DUAL =137 | {_VARTEX} shadow lod_mode | V s+64 s@2
VAR_TEX_SINGLE =138 | {_VARTEX} shadow lod_mode | V s+64 s@2
VAR_TEX_GATHER =139 | {_VARTEX} integer_coordinates fetch_component shadow | V s+64 s@2
VAR_TEX_GRADIENT =13a | {_VARTEX} shadow lod_bias_disable lod_clamp_disable | V s+64 s@2
VAR_TEX_DUAL =13f | {_VARTEX} shadow lod_mode | V s+64 s@2
FMA_RSCALE f32=160 | clamp | d s+an s+an s+an s
FMA_RSCALE_N f32=161 | clamp | d s+an s+an s+an s
FMA_RSCALE_LEFT f32=162 | clamp | d s+an s+an s+an s
FMA_RSCALE_SCALE16 f32=163 | clamp | d s+an s+an s+an s
"""
