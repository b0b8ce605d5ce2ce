"""More compute programs, by what they exercise: subgroups, widths of 8 to 64 bits, memory, algorithms.

They are programs of :mod:`glsl_corpus` with extensions.  A subgroup has 16 threads on Mali and another number on
lavapipe, so that such a program checks each result against shared memory and stores what must hold on both.
"""

from __future__ import annotations

from glsl_corpus import Program

_STORE = "b[i] = floatBitsToUint({});"


def _subgroup(
    name: str, operation: str, expected: str, kinds: str = "", *, start: str = "0u"
) -> Program:
    """``operation`` of v against a loop over the subgroup's values: ``expected`` updates r from s[k]."""
    return Program(
        f"subgroup_{name}",
        f"""
        uint v = a[i]; uint l = gl_SubgroupInvocationID; uint base = gl_LocalInvocationIndex - l;
        s[gl_LocalInvocationIndex] = v; barrier();
        uint many = min(gl_SubgroupSize, 64u - base);
        uint got = {operation};
        uint r = {start};
        for (uint k = 0u; k < many; k++) {{ uint x = s[base + k]; {expected} }}
        b[i] = got == r ? 1u : got ^ r;""",
        "shared uint s[64];",
        extensions=(
            "GL_KHR_shader_subgroup_basic",
            *(f"GL_KHR_shader_subgroup_{kind}" for kind in kinds.split()),
        ),
    )


SUBGROUPS = [
    _subgroup("add", "subgroupAdd(v)", "r += x;", "arithmetic"),
    _subgroup("mul", "subgroupMul(v | 1u)", "r *= x | 1u;", "arithmetic", start="1u"),
    _subgroup("min", "subgroupMin(v)", "r = min(r, x);", "arithmetic", start="~0u"),
    _subgroup("max", "subgroupMax(v)", "r = max(r, x);", "arithmetic"),
    _subgroup("and", "subgroupAnd(v | 7u)", "r &= x | 7u;", "arithmetic", start="~0u"),
    _subgroup("or", "subgroupOr(v & 0x1111u)", "r |= x & 0x1111u;", "arithmetic"),
    _subgroup("xor", "subgroupXor(v)", "r ^= x;", "arithmetic"),
    _subgroup(
        "smin",
        "uint(subgroupMin(int(v)))",
        "r = uint(min(int(r), int(x)));",
        "arithmetic",
        start="0x7fffffffu",
    ),
    _subgroup("inclusive", "subgroupInclusiveAdd(v)", "if (k <= l) r += x;", "arithmetic"),
    _subgroup("exclusive", "subgroupExclusiveAdd(v)", "if (k < l) r += x;", "arithmetic"),
    _subgroup(
        "inclusive_max", "subgroupInclusiveMax(v)", "if (k <= l) r = max(r, x);", "arithmetic"
    ),
    _subgroup(
        "clustered", "subgroupClusteredAdd(v, 4u)", "if (k / 4u == l / 4u) r += x;", "clustered"
    ),
    _subgroup("ballot", "subgroupBallot((v & 1u) != 0u).x", "r |= (x & 1u) << k;", "ballot"),
    _subgroup(
        "ballot_count",
        "subgroupBallotBitCount(subgroupBallot((v & 3u) != 0u))",
        "if ((x & 3u) != 0u) r++;",
        "ballot",
    ),
    _subgroup(
        "ballot_exclusive",
        "subgroupBallotExclusiveBitCount(subgroupBallot((v & 3u) != 0u))",
        "if (k < l && (x & 3u) != 0u) r++;",
        "ballot",
    ),
    _subgroup("broadcast", "subgroupBroadcast(v, 3u)", "if (k == 3u) r = x;", "ballot"),
    _subgroup("first", "subgroupBroadcastFirst(v)", "if (k == 0u) r = x;", "ballot"),
    _subgroup(
        "shuffle",
        "subgroupShuffle(v, (l * 5u + 3u) % 4u)",
        "if (k == (l * 5u + 3u) % 4u) r = x;",
        "shuffle",
    ),
    _subgroup("shuffle_xor", "subgroupShuffleXor(v, 3u)", "if (k == (l ^ 3u)) r = x;", "shuffle"),
    _subgroup(
        "shuffle_up",
        "subgroupShuffleUp(v, 2u); if (l < 2u) got = 0u",
        "if (l >= 2u && k == l - 2u) r = x;",
        "shuffle_relative",
    ),
    _subgroup(
        "shuffle_down",
        "subgroupShuffleDown(v, 1u); if (l + 1u >= many) got = 0u",
        "if (l + 1u < many && k == l + 1u) r = x;",
        "shuffle_relative",
    ),
    _subgroup(
        "quad_horizontal", "subgroupQuadSwapHorizontal(v)", "if (k == (l ^ 1u)) r = x;", "quad"
    ),
    _subgroup("quad_diagonal", "subgroupQuadSwapDiagonal(v)", "if (k == (l ^ 3u)) r = x;", "quad"),
    _subgroup(
        "quad_broadcast", "subgroupQuadBroadcast(v, 2u)", "if (k == (l & ~3u) + 2u) r = x;", "quad"
    ),
    _subgroup(
        "all",
        "subgroupAll((v & 0x80000000u) == 0u) ? 1u : 0u",
        "if ((x >> 31) != 0u) r = 0u;",
        "vote",
        start="1u",
    ),
    _subgroup(
        "any", "subgroupAny((v & 0xffu) == 0u) ? 1u : 0u", "if ((x & 0xffu) == 0u) r = 1u;", "vote"
    ),
    _subgroup(
        "equal",
        "subgroupAllEqual(v >> 31) ? 1u : 0u",
        "if (x >> 31 != s[base] >> 31) r = 0u;",
        "vote",
        start="1u",
    ),
    Program(
        "subgroup_elect",
        "if (subgroupElect()) atomicAdd(b[0], gl_SubgroupSize); if (i == 1u) b[1] = 7u;",
        local=(64, 1, 1),
        groups=(4, 1, 1),
        extensions=("GL_KHR_shader_subgroup_basic",),
    ),
    Program(
        "subgroup_divergent",
        "uint v = 0u; if ((i & 1u) != 0u) v = subgroupAdd(1u) * 2u; else v = subgroupAdd(1u); "
        "b[i] = (i & 1u) != 0u ? uint(v == gl_SubgroupSize) : uint(v * 2u == gl_SubgroupSize);",
        extensions=("GL_KHR_shader_subgroup_basic", "GL_KHR_shader_subgroup_arithmetic"),
    ),
    Program(
        "subgroup_float",
        "float x = floor(f(i)); float t = subgroupAdd(x); float m = subgroupMax(x); s[gl_LocalInvocationIndex] = x; barrier(); "
        "uint base = gl_LocalInvocationIndex - gl_SubgroupInvocationID; float r = 0.0, q = -100.0; "
        "for (uint k = 0u; k < gl_SubgroupSize; k++) { r += s[base + k]; q = max(q, s[base + k]); } b[i] = uint(r == t && q == m);",
        "shared float s[64];",
        extensions=("GL_KHR_shader_subgroup_basic", "GL_KHR_shader_subgroup_arithmetic"),
    ),
]

_WIDE = ("GL_EXT_shader_explicit_arithmetic_types_int64",)
_HALF = ("GL_EXT_shader_explicit_arithmetic_types_float16", "GL_EXT_shader_16bit_storage")
_SHORT = ("GL_EXT_shader_explicit_arithmetic_types_int16", "GL_EXT_shader_16bit_storage")
_BYTE = ("GL_EXT_shader_explicit_arithmetic_types_int8", "GL_EXT_shader_8bit_storage")
_X64 = "uint64_t x = uint64_t(a[i]) << 32 | uint64_t(a[n - 1u - i]), y = uint64_t(a[(i * 7u) % n]) << 20 | uint64_t(i); "
_OUT64 = "b[i] = uint(z) ^ uint(z >> 32) * 3u;"
_X16 = "uint16_t x = uint16_t(a[i]), y = uint16_t(a[n - 1u - i] | 1u); "
_X8 = "uint8_t x = uint8_t(a[i]), y = uint8_t(a[n - 1u - i] | 1u); "
_XH = "float16_t x = float16_t(f(i)), y = float16_t(f(n - 1u - i)); "
_OUTH = "b[i] = uint(float16BitsToUint16({})) ;"


def _wide(name: str, body: str, **more: object) -> Program:
    return Program(
        f"int64_{name}", f"{_X64} uint64_t z = {body}; {_OUT64}", extensions=_WIDE, **more
    )  # type: ignore[arg-type]


def _short(name: str, body: str) -> Program:
    return Program(f"int16_{name}", f"{_X16} b[i] = uint({body});", extensions=_SHORT)


def _byte(name: str, body: str) -> Program:
    return Program(f"int8_{name}", f"{_X8} b[i] = uint({body});", extensions=_BYTE)


def _half(name: str, body: str, ulps: int = 0) -> Program:
    return Program(
        f"half_{name}", f"{_XH} {_OUTH.format(body)}", extensions=(*_HALF, *_SHORT[:1]), ulps=ulps
    )


WIDTHS = [
    _wide("add", "x + y"),
    _wide("sub", "x - y"),
    _wide("mul", "x * y"),
    _wide("div", "x / (y | 1ul)"),
    _wide("mod", "x % (y | 1ul)"),
    _wide("shift", "(x << (i & 63u)) ^ (y >> (i & 63u))"),
    _wide("arithmetic", "uint64_t(int64_t(x) >> (i & 63u))"),
    _wide("compare", "x < y ? x : y + 1ul"),
    _wide("signed", "int64_t(x) < int64_t(y) ? ~x : uint64_t(abs(int64_t(y)))"),
    _wide("logic", "(x & y) | (~x ^ y)"),
    _wide("minmax", "min(x, y) ^ max(uint64_t(i), y)"),
    _wide("divs", "uint64_t(int64_t(x) / (int64_t(y) | 1l))"),
    _wide("select", "(i & 1u) != 0u ? x : y"),
    Program(
        "int64_float",
        f"{_X64} " + _STORE.format("float(x) + float(int64_t(y))"),
        extensions=_WIDE,
        ulps=1,
    ),
    Program("float_int64", "int64_t z = int64_t(f(i) * 1e9); " + _OUT64, extensions=_WIDE),
    _short("add", "uint16_t(x + y)"),
    _short("mul", "uint16_t(x * y)"),
    _short("div", "uint16_t(x / y)"),
    _short("shift", "uint16_t(x << (i & 15u)) ^ uint16_t(y >> (i & 15u))"),
    _short("signed", "int(int16_t(x) / int16_t(3)) + int(int16_t(y) >> int16_t(2))"),
    _short("minmax", "uint(min(x, y)) + uint(max(int16_t(x), int16_t(y)))"),
    _short("logic", "uint16_t((x & y) | (x ^ uint16_t(0x5555)))"),
    _short("compare", "x < y ? x : uint16_t(y - uint16_t(1))"),
    _short("vector", "dot(vec2(i16vec2(x, y)) , vec2(1.0, 2.0)) > 0.0 ? 1 : 0"),
    _byte("add", "uint8_t(x + y)"),
    _byte("mul", "uint8_t(x * y)"),
    _byte("div", "uint8_t(x / y)"),
    _byte("signed", "int(int8_t(x)) * int(int8_t(y))"),
    _byte("shift", "uint8_t(x >> uint8_t(3)) + uint8_t(y << uint8_t(1))"),
    _byte("minmax", "uint(min(x, y)) + uint(max(int8_t(x), int8_t(y)))"),
    _byte("vector", "uint(u8vec4(x, y, x, y).zwxy.y) * 3u"),
    _half("add", "x + y"),
    _half("mul", "x * y"),
    _half("fma", "fma(x, abs(y), x)", 2),  # of one sign: rounding twice, as allowed, shows little
    _half("minmax", "min(x, y) + max(x, float16_t(0.5))"),
    _half("round", "floor(x) + ceil(y) + trunc(x)"),
    _half("compare", "x < y ? x : -y"),
    _half("abs", "abs(x) - abs(y)"),
    _half("divide", "x / (abs(y) + float16_t(0.5))", 2),
    _half("sqrt", "sqrt(abs(x) + float16_t(0.25))", 2),
    _half("convert", "float16_t(f(i) * 100.0) + float16_t(int(a[i] & 255u))"),
    _half("vector", "dot(f16vec2(x, y), f16vec2(y, float16_t(1.0)))", 1),
    _half("clamp", "clamp(x, float16_t(-1.0), float16_t(1.0))"),
    Program(
        "half_int", f"{_XH} b[i] = uint(int(x * float16_t(10.0))) ^ uint(abs(y));", extensions=_HALF
    ),
    Program(
        "pack_many",
        "b[i] = packUnorm2x16(vec2(f(i), 0.3)) ^ packSnorm4x8(vec4(f(i), -0.5, 0.5, 2.0));",
    ),
    Program(
        "unpack_many",
        _STORE.format(
            "unpackUnorm4x8(a[i]).y + unpackSnorm2x16(a[i]).x * 2.0 + unpackSnorm4x8(a[i]).w"
        ),
        absolute=1e-5,
    ),
]

FLOATS = [
    Program("sine", _STORE.format("sin(f(i))"), absolute=2e-3),
    Program("cosine", _STORE.format("cos(f(i))"), absolute=2e-3),
    Program("tangent", _STORE.format("tan(f(i) * 0.15)"), absolute=2e-2),
    Program("arc_tangent", _STORE.format("atan(f(i))"), absolute=2e-3),
    Program("arc_tangent2", _STORE.format("atan(f(i), f(n - 1u - i))"), absolute=5e-3),
    Program("arc_sine", _STORE.format("asin(clamp(f(i) * 0.12, -1.0, 1.0))"), absolute=5e-3),
    Program("arc_cosine", _STORE.format("acos(clamp(f(i) * 0.12, -1.0, 1.0))"), absolute=5e-3),
    Program("hyperbolic", _STORE.format("tanh(f(i)) + sinh(f(i) * 0.25)"), absolute=5e-3),
    Program("power", _STORE.format("pow(abs(f(i)) + 0.1, 1.7)"), absolute=2e-3),
    Program("exp_natural", _STORE.format("exp(f(i) * 0.5)"), absolute=2e-3),
    Program("log_natural", _STORE.format("log(abs(f(i)) + 0.01)"), absolute=2e-3),
    Program(
        "modf_frexp",
        "float w; float x = modf(f(i), w); int e; float m = frexp(f(i) + 9.0, e); "
        + _STORE.format("x + w * 2.0 + m + float(e)"),
    ),
    Program("ldexp", _STORE.format("ldexp(f(i), int(i & 15u) - 8)")),
    Program("fmod", _STORE.format("mod(f(i), 1.5)"), absolute=1e-5),
    Program(
        "length_normalize",
        _STORE.format("length(vec3(f(i), 1.0, 2.0)) + normalize(vec2(f(i), 3.0)).x"),
        absolute=1e-4,
    ),
    Program(
        "cross_reflect",
        _STORE.format(
            "cross(vec3(f(i), 1.0, 2.0), vec3(2.0, f(i), 1.0)).z + reflect(vec2(f(i), 1.0), vec2(0.0, 1.0)).y"
        ),
        absolute=1e-5,
    ),
    Program("smooth", _STORE.format("smoothstep(-2.0, 2.0, f(i))"), absolute=1e-5),
    Program(
        "matrix4",
        "mat4 m = mat4(1.0); m[3] = vec4(1.0, 2.0, 3.0, 1.0); m[1][0] = f(i); "
        + _STORE.format("(transpose(m) * m * vec4(floor(f(i)), 1.0, 2.0, 1.0)).x"),
        absolute=1e-3,
    ),
    Program(
        "inverse",
        _STORE.format("inverse(mat3(2.0, f(i), 1.0, 0.0, 3.0, 1.0, 1.0, 0.0, 4.0))[1][2]"),
        absolute=1e-4,
    ),
    Program(
        "determinant",
        _STORE.format("determinant(mat3(2.0, floor(f(i)), 1.0, 0.0, 3.0, 1.0, 1.0, 0.0, 4.0))"),
        absolute=1e-3,
    ),
    Program(
        "nan_rules",
        "float z = f(i) - f(i); float x = f(i) / z; b[i] = uint(isnan(z / z)) | uint(x > 1.0) << 1 | uint(isinf(x)) << 2;",
        any_value=True,
    ),
    Program(
        "subnormals",
        "float x = uintBitsToFloat(a[i] & 0x000fffffu); b[i] = floatBitsToUint(x * 8388608.0) == 0u ? 0u : 1u;",
        any_value=True,
    ),
    Program("big_to_int", "b[i] = uint(f(i) * 4e8) ^ uint(int(-f(i) * 2e8));", any_value=True),
]

_BLOCK = "shared uint s[256];"
MEMORY = [
    Program(
        "atomics_shared",
        "uint l = gl_LocalInvocationIndex; if (l < 8u) s[l] = l == 4u ? ~0u : 0u; barrier(); "
        "atomicAdd(s[0], a[i] & 255u); atomicMax(s[1], a[i]); atomicOr(s[2], a[i]); atomicXor(s[3], a[i]); atomicAnd(s[4], a[i] | 0xffu); "
        "atomicMin(s[5], 0u - (a[i] & 7u)); barrier(); b[i] = s[l & 7u];",
        _BLOCK,
    ),
    Program(
        "exchange_shared",
        "uint l = gl_LocalInvocationIndex; if (l == 0u) { s[0] = 0u; s[1] = 0u; } barrier(); "
        "uint was = atomicExchange(s[0], l + 1u); atomicAdd(s[1], was); barrier(); if (l == 0u) b[gl_WorkGroupID.x] = s[0] + s[1];",
        _BLOCK,
    ),
    Program(
        "compare_shared",
        "uint l = gl_LocalInvocationIndex; if (l == 0u) s[0] = 0u; barrier(); uint seen = 0u; "
        "for (int k = 0; k < 500; k++) { uint was = atomicCompSwap(s[0], seen, seen + 3u); if (was == seen) break; seen = was; } barrier(); b[i] = s[0];",
        _BLOCK,
    ),
    Program(
        "atomics_signed",
        "atomicMin(c[0], int(a[i])); atomicMax(c[1], int(a[i])); if (i >= 2u) b[i] = 1u;",
        "layout(std430, binding = 1) buffer C { int c[]; };",
    ),
    Program(
        "atomic64",
        "atomicAdd(w[0], uint64_t(a[i])); atomicMax(w[1], uint64_t(a[i]) << 16); atomicMin(w[2], uint64_t(a[i])); atomicOr(w[3], uint64_t(a[i]) << 20);",
        "layout(std430, binding = 1) buffer C { uint64_t w[]; };",
        extensions=(*_WIDE, "GL_EXT_shader_atomic_int64"),
    ),
    Program(
        "histogram",
        "uint l = gl_LocalInvocationIndex; s[l] = 0u; s[l + 64u] = 0u; s[l + 128u] = 0u; s[l + 192u] = 0u; barrier(); "
        "atomicAdd(s[a[i] >> 24], 1u); barrier(); for (uint k = l; k < 256u; k += 64u) if (s[k] != 0u) atomicAdd(b[k], s[k]);",
        _BLOCK,
    ),
    Program(
        "bytes_storage",
        "q[i] = uint8_t(p[i * 3u] + p[i]); ",
        "layout(std430, binding = 0) readonly buffer P { uint8_t p[]; }; layout(std430, binding = 1) buffer Q { uint8_t q[]; };",
        extensions=_BYTE,
    ),
    Program(
        "shorts_storage",
        "q[i] = uint16_t(p[i + 1u] * p[i]); ",
        "layout(std430, binding = 0) readonly buffer P { uint16_t p[]; }; layout(std430, binding = 1) buffer Q { uint16_t q[]; };",
        extensions=_SHORT,
    ),
    Program(
        "halfs_storage",
        "q[i] = p[i] * float16_t(0.5) + float16_t(1.0);",
        "layout(std430, binding = 0) readonly buffer P { uint16_t dummy; float16_t p[]; }; layout(std430, binding = 1) buffer Q { float16_t q[]; };",
        extensions=(*_HALF, *_SHORT[:1]),
        any_value=True,
    ),
    Program(
        "vectors_storage",
        "w[i] = v[i].wzyx + uvec4(i); ",
        "layout(std430, binding = 0) readonly buffer V { uvec4 v[]; }; layout(std430, binding = 1) buffer W { uvec4 w[]; };",
        groups=(4, 1, 1),
    ),
    Program(
        "matrices_storage",
        "w[i] = floatBitsToUint((m[i & 15u] * vec4(1.0, 2.0, 3.0, 4.0)).y * 0.0) + i;",
        "layout(std430, binding = 0) readonly buffer V { layout(row_major) mat4 m[]; }; layout(std430, binding = 1) buffer W { uint w[]; };",
        any_value=True,
    ),
    Program(
        "struct_array",
        "b[i] = t[i & 7u].x[i & 3u] + t[(i + 1u) & 7u].y;",
        "struct T { uint x[4]; uint y; uint z[3]; }; layout(std430, binding = 0) readonly buffer V { T t[]; };",
    ),
    Program(
        "spill",
        "uint t[48]; for (uint k = 0u; k < 48u; k++) t[k] = a[(i + k * 13u) % n]; uint r = 0u; for (uint k = 0u; k < 48u; k++) r = r * 31u + t[(k * 7u + (a[i] & 3u)) % 48u]; b[i] = r;",
    ),
    Program(
        "many_values",
        "uint "
        + ", ".join(f"v{k} = a[(i + {k}u) % n]" for k in range(40))
        + "; "
        + "".join(f"v{k} += v{(k * 7 + 3) % 40} * v{(k * 11 + 5) % 40};" for k in range(40))
        + " b[i] = "
        + " ^ ".join(f"v{k}" for k in range(40))
        + ";",
    ),
    Program("robust_read", "b[i] = a[i * 100000u];", any_value=True),
    Program(
        "dynamic_shared",
        "uint l = gl_LocalInvocationIndex; for (uint k = 0u; k < 4u; k++) s[l * 4u + k] = a[i] + k; barrier(); b[i] = s[(a[i] ^ l) & 255u] - s[l];",
        _BLOCK,
    ),
    Program(
        "wide_group",
        "uint l = gl_LocalInvocationIndex; t[l] = a[i]; barrier(); for (uint k = 512u; k > 0u; k >>= 1) { if (l < k) t[l] = max(t[l], t[l + k]); barrier(); } b[i] = t[0];",
        "shared uint t[1024];",
        local=(1024, 1, 1),
        groups=(2, 1, 1),
    ),
    Program("large_grid", "b[i] = i * 3u;", local=(32, 1, 1), groups=(64, 32, 4)),
    Program(
        "barrier_loop",
        "uint l = gl_LocalInvocationIndex; s[l] = a[i]; for (uint k = 0u; k < 10u; k++) { barrier(); uint v = s[(l + 1u) & 63u]; barrier(); s[l] = v * 3u + k; } barrier(); b[i] = s[l];",
        _BLOCK,
    ),
]

ALGORITHMS = [
    Program(
        "sha256",
        """
        uint w[64]; for (uint k = 0u; k < 16u; k++) w[k] = a[(i * 16u + k) % n];
        for (uint k = 16u; k < 64u; k++) { uint p = w[k - 15u], q = w[k - 2u];
            w[k] = w[k - 16u] + (r(p, 7) ^ r(p, 18) ^ (p >> 3)) + w[k - 7u] + (r(q, 17) ^ r(q, 19) ^ (q >> 10)); }
        uint h[8] = uint[](0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au, 0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u);
        for (uint k = 0u; k < 64u; k++) { uint e = h[4], x = h[0];
            uint t = h[7] + (r(e, 6) ^ r(e, 11) ^ r(e, 25)) + ((e & h[5]) ^ (~e & h[6])) + k * 0x9e3779b9u + w[k];
            uint u = (r(x, 2) ^ r(x, 13) ^ r(x, 22)) + ((x & h[1]) ^ (x & h[2]) ^ (h[1] & h[2]));
            h[7] = h[6]; h[6] = h[5]; h[5] = e; h[4] = h[3] + t; h[3] = h[2]; h[2] = h[1]; h[1] = x; h[0] = t + u; }
        b[i] = h[0] ^ h[7];""",
        "uint r(uint x, int k) { return (x >> k) | (x << (32 - k)); }",
        groups=(4, 1, 1),
    ),
    Program(
        "odd_even_sort",
        "uint l = gl_LocalInvocationIndex; s[l] = a[i]; barrier(); for (uint k = 0u; k < 64u; k++) { uint x = s[l], y; bool low = ((l ^ k) & 1u) == 0u; uint o = low ? min(l + 1u, 63u) : (l == 0u ? 0u : l - 1u); y = s[o]; barrier(); s[l] = o == l ? x : low ? min(x, y) : max(x, y); barrier(); } b[i] = s[l];",
        _BLOCK,
    ),
    Program(
        "tiled_matmul",
        """
        uint row = gl_LocalInvocationID.y, col = gl_LocalInvocationID.x; float sum = 0.0;
        for (uint t = 0u; t < 4u; t++) {
            p[row][col] = floor(f((row * 32u + t * 8u + col) % n)); q[row][col] = floor(f(((t * 8u + row) * 8u + col) % n)); barrier();
            for (uint k = 0u; k < 8u; k++) sum += p[row][k] * q[k][col]; barrier(); }
        b[i] = floatBitsToUint(sum);""",
        "shared float p[8][8]; shared float q[8][8];",
        local=(8, 8, 1),
        groups=(2, 2, 1),
    ),
    Program(
        "softmax",
        """
        uint l = gl_LocalInvocationIndex; float x = f(i); s[l] = x; barrier();
        for (uint k = 32u; k > 0u; k >>= 1) { if (l < k) s[l] = max(s[l], s[l + k]); barrier(); }
        float top = s[0]; barrier(); float e = exp(x - top); s[l] = e; barrier();
        for (uint k = 32u; k > 0u; k >>= 1) { if (l < k) s[l] += s[l + k]; barrier(); }
        b[i] = floatBitsToUint(e / s[0]);""",
        "shared float s[64];",
        absolute=1e-5,
    ),
    Program(
        "convolution",
        "float r = 0.0; for (int y = -1; y <= 1; y++) for (int x = -1; x <= 1; x++) { float k = float((x + 2) * (y + 3)); uint j = uint(int(i) + y * 32 + x + int(n)) % n; r += k * floor(f(j)); } b[i] = floatBitsToUint(max(r, 0.0));",
    ),
    Program(
        "n_body",
        "vec3 p = vec3(f(i), f((i + 1u) % n), f((i + 2u) % n)), g = vec3(0.0); for (uint k = 0u; k < 32u; k++) { vec3 d = vec3(f(k), f(k + 1u), f(k + 2u)) - p; float q = dot(d, d) + 1.0; g += d * inversesqrt(q) / q; } b[i] = floatBitsToUint(g.x + g.y + g.z);",
        absolute=1e-3,
    ),
    Program(
        "fft_stage",
        "const float pi = 3.14159265; uint wing = 8u, k = i % wing, j = (i / wing) * 16u + k; float w = -pi * float(k) / float(wing); vec2 x = vec2(f(j % n), 0.0), y = vec2(f((j + wing) % n), 0.0), t = vec2(cos(w), sin(w)); vec2 z = vec2(t.x * y.x - t.y * y.y, t.x * y.y + t.y * y.x); b[i] = floatBitsToUint((x + z).x + (x - z).y);",
        absolute=5e-3,
    ),
    Program(
        "prefix_blocks",
        "uint l = gl_LocalInvocationIndex; s[l] = a[i] & 0xffu; barrier(); for (uint d = 1u; d < 64u; d <<= 1) { uint k = (l + 1u) * d * 2u - 1u; if (k < 64u) s[k] += s[k - d]; barrier(); } if (l == 0u) s[63] = 0u; barrier(); for (uint d = 32u; d > 0u; d >>= 1) { uint k = (l + 1u) * d * 2u - 1u; if (k < 64u) { uint t = s[k - d]; s[k - d] = s[k]; s[k] += t; } barrier(); } b[i] = s[l];",
        _BLOCK,
    ),
    Program(
        "quantized_dot",
        "int r = 0; for (uint k = 0u; k < 8u; k++) { uint x = a[(i + k) % n], y = a[(i * 3u + k) % n]; for (int c = 0; c < 4; c++) r += bitfieldExtract(int(x), c * 8, 8) * bitfieldExtract(int(y), c * 8, 8); } b[i] = uint(r);",
    ),
    Program(
        "chacha",
        "uint x[16]; for (uint k = 0u; k < 16u; k++) x[k] = a[(i + k) % n]; for (int k = 0; k < 4; k++) { q(x[0], x[4], x[8], x[12]); q(x[1], x[5], x[9], x[13]); q(x[2], x[6], x[10], x[14]); q(x[3], x[7], x[11], x[15]); q(x[0], x[5], x[10], x[15]); q(x[3], x[4], x[9], x[14]); } b[i] = x[0] ^ x[5] ^ x[15];",
        "void q(inout uint a, inout uint b, inout uint c, inout uint d) { a += b; d ^= a; d = d << 16 | d >> 16; c += d; b ^= c; b = b << 12 | b >> 20; a += b; d ^= a; d = d << 8 | d >> 24; c += d; b ^= c; b = b << 7 | b >> 25; }",
    ),
    Program(
        "string_search",
        "uint r = 0u; for (uint k = 0u; k < 64u; k++) { uint w = a[(i + k / 4u) % n]; if (((w >> (8u * (k & 3u))) & 255u) == (i & 255u)) { r = k + 1u; break; } } b[i] = r;",
    ),
    Program(
        "levenshtein",
        "uint d[9]; for (uint k = 0u; k <= 8u; k++) d[k] = k; for (uint j = 0u; j < 8u; j++) { uint p = d[0]; d[0] = j + 1u; for (uint k = 0u; k < 8u; k++) { uint t = d[k + 1u]; uint c = ((a[i] >> (4u * j)) & 3u) == ((a[n - 1u - i] >> (4u * k)) & 3u) ? 0u : 1u; d[k + 1u] = min(min(d[k] + 1u, t + 1u), p + c); p = t; } } b[i] = d[8];",
    ),
    Program(
        "queens",
        "uint found = 0u; uint stack[9]; uint cols[9]; int top = 0; stack[0] = 0u; uint pos[8]; for (int steps = 0; steps < 400 && top >= 0; steps++) { uint c = stack[top]; if (c >= 6u) { top--; if (top >= 0) stack[top]++; continue; } bool ok = true; for (int k = 0; k < top; k++) { uint d = uint(top - k); if (pos[k] == c || pos[k] + d == c || c + d == pos[k]) { ok = false; break; } } if (!ok) { stack[top]++; continue; } pos[top] = c; if (top == 5) { found = found * 6u + c; stack[top]++; } else { top++; stack[top] = (i & 1u); } } b[i] = found;",
    ),
]

PROGRAMS = [*SUBGROUPS, *WIDTHS, *FLOATS, *MEMORY, *ALGORITHMS]
