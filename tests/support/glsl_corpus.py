"""Compute programs of many kinds, each a GLSL body over the same two buffers.

``a`` is the input (uint), ``b`` the output (uint); ``i`` is the global invocation, ``n`` their number, ``f(x)``
reads an input as a float in [-8, 8].  ``ulps`` is what the Vulkan specification's precision table allows the
two implementations to differ by; 0 where every step is exact by IEEE 754 or an integer.

One program meets a fault of Mesa 25.0: its pressure scheduler moves the load of ``t = s[l]`` behind the store
to ``s[l]``, so that a swap in shared memory loses a value; without that pass the same driver is right.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD = """#version 450
{extensions}
layout(local_size_x = {x}, local_size_y = {y}, local_size_z = {z}) in;
layout(std430, binding = 0) readonly buffer A {{ uint a[]; }};
layout(std430, binding = 1) buffer B {{ uint b[]; }};
{globals}
float f(uint x) {{ return float(int(a[x] & 0xffffu) - 32768) / 4096.0; }}
void main() {{
    uvec3 size = gl_NumWorkGroups * gl_WorkGroupSize;
    uint n = size.x * size.y * size.z;
    uint i = gl_GlobalInvocationID.x
           + size.x * (gl_GlobalInvocationID.y + size.y * gl_GlobalInvocationID.z);
    {body}
}}
"""


@dataclass(frozen=True)
class Program:
    """A program; ``local`` is its workgroup size, ``groups`` how many are dispatched."""

    name: str
    body: str
    globals: str = ""
    local: tuple[int, int, int] = (64, 1, 1)
    groups: tuple[int, int, int] = (16, 1, 1)
    ulps: int = 0
    absolute: float = (
        0  # the same for functions whose error is bounded absolutely or inherits a sum's
    )
    debug: str = ""  # BIFROST_MESA_DEBUG: a pass of Mesa's compiler to leave out
    extensions: tuple[str, ...] = ()
    any_value: bool = False  # the language leaves the result open: it only has to run

    @property
    def source(self) -> str:
        x, y, z = self.local
        extensions = "\n".join(f"#extension {name} : require" for name in self.extensions)
        return HEAD.format(
            x=x, y=y, z=z, globals=self.globals, body=self.body, extensions=extensions
        )


_STORE = "b[i] = floatBitsToUint({});"

PROGRAMS = [
    Program("copy", "b[i] = a[i];"),
    Program("add_mul", "b[i] = a[i] * 2654435761u + i;"),
    Program("shifts", "b[i] = (a[i] << (i & 31u)) ^ (a[i] >> (31u - (i & 31u)));"),
    Program("arithmetic_shift", "b[i] = uint(int(a[i]) >> int(i & 31u));"),
    Program("logic", "b[i] = (a[i] & 0xff00ff00u) | (~a[n - 1u - i] & 0x00ff00ffu) ^ i;"),
    Program("divide_unsigned", "b[i] = a[i] / (a[n - 1u - i] | 1u) + a[i] % (i + 1u);"),
    Program(
        "divide_signed", "int d = int(i) - 500; d = d == 0 ? 1 : d; b[i] = uint(int(a[i]) / d);"
    ),
    Program(
        "multiply_high", "uint hi, lo; umulExtended(a[i], a[n - 1u - i], hi, lo); b[i] = hi ^ lo;"
    ),
    Program(
        "multiply_high_signed",
        "int hi, lo; imulExtended(int(a[i]), int(i), hi, lo); b[i] = uint(hi);",
    ),
    Program("carry", "uint c; uint s = uaddCarry(a[i], a[n - 1u - i], c); b[i] = s + c * 7u;"),
    Program("borrow", "uint c; uint s = usubBorrow(a[i], a[n - 1u - i], c); b[i] = s ^ (c << 31);"),
    Program("bit_count", "b[i] = uint(bitCount(a[i]));"),
    Program("find_bits", "b[i] = uint(findMSB(a[i]) * 64 + findLSB(a[i]) + findMSB(int(a[i])));"),
    Program("reverse", "b[i] = bitfieldReverse(a[i]);"),
    Program(
        "bitfields",
        "b[i] = bitfieldInsert(a[i], i, int(i & 15u), 9) + bitfieldExtract(a[i], 5, 11);",
    ),
    Program("bitfield_signed", "b[i] = uint(bitfieldExtract(int(a[i]), int(i & 15u), 7));"),
    Program(
        "min_max_clamp",
        "int x = int(a[i]); b[i] = uint(clamp(max(x, -1000000), -5, 900000) + min(x, 3));",
    ),
    Program("abs_sign", "int x = int(a[i]); b[i] = uint(abs(x)) ^ uint(sign(x));"),
    Program("float_add", _STORE.format("f(i) + f(n - 1u - i)")),
    Program("float_multiply", _STORE.format("f(i) * f(n - 1u - i)")),
    Program("float_fma", _STORE.format("fma(f(i), 0.5, f(n - 1u - i))")),
    Program(
        "float_compare",
        "b[i] = (f(i) < f(n - 1u - i) ? 1u : 0u) | (f(i) >= 0.0 ? 2u : 0u) | (f(i) != 1.0 ? 4u : 0u);",
    ),
    Program(
        "float_round",
        _STORE.format(
            "floor(f(i)) + 4.0 * ceil(f(i)) + 16.0 * trunc(f(i)) + 64.0 * roundEven(f(i))"
        ),
    ),
    Program("fract_sign", _STORE.format("fract(abs(f(i))) + sign(f(i))")),
    Program("float_to_int", "b[i] = uint(int(f(i) * 1000.0)) ^ uint(abs(f(i)) * 3.0);"),
    Program("int_to_float", _STORE.format("float(int(a[i]) >> 8) + float(a[i] >> 9)")),
    Program("float_select", _STORE.format("f(i) > 0.0 ? min(f(i), 2.5) : max(f(i), -2.5)")),
    Program("mix_step", _STORE.format("mix(1.0, 3.0, step(0.5, f(i)))")),
    Program("divide_float", _STORE.format("f(i) / (abs(f(n - 1u - i)) + 0.5)"), ulps=4),
    Program("square_root", _STORE.format("sqrt(abs(f(i)) + 0.25)"), ulps=6),
    Program("inverse_root", _STORE.format("inversesqrt(abs(f(i)) + 0.25)"), ulps=4),
    Program("exponential", _STORE.format("exp2(f(i))"), ulps=12),
    Program("logarithm", _STORE.format("log2(abs(f(i)) + 3.0)"), ulps=12),
    Program("half_pack", "b[i] = packHalf2x16(vec2(f(i), f(n - 1u - i)));"),
    Program("half_unpack", _STORE.format("unpackHalf2x16(a[i] & 0x3fff3fffu).x")),
    Program(
        "pack_norm",
        "b[i] = packUnorm4x8(vec4(f(i), 0.25, 1.5, -1.0)) ^ packSnorm2x16(vec2(0.5, -0.25));",
    ),
    Program("vectors", _STORE.format("dot(vec3(f(i), 1.0, 2.0), vec3(0.5, 0.25, float(i)))")),
    Program(
        "matrix",
        "mat3 m = mat3(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0); "
        + _STORE.format("(m * vec3(floor(f(i)), 1.0, 2.0)).y"),
    ),
    Program(
        "branch",
        "if ((i & 1u) != 0u) b[i] = a[i] + 1u; else if ((i & 2u) != 0u) b[i] = a[i] * 3u; else b[i] = 7u;",
    ),
    Program(
        "loop",
        "uint x = a[i]; for (uint k = 0u; k < (i & 31u); k++) x = x * 1664525u + 1013904223u; b[i] = x;",
    ),
    Program(
        "loop_break",
        "uint x = a[i] | 1u, k = 0u; while (true) { if ((x & 0xfu) == 0u || k > 50u) break; x = x * 5u + 3u; k++; } b[i] = x + k;",
    ),
    Program(
        "loop_continue",
        "uint s = 0u; for (uint k = 0u; k < 20u; k++) { if (((a[i] >> k) & 1u) == 0u) continue; s += k; } b[i] = s;",
    ),
    Program(
        "nested",
        "uint s = 0u; for (uint k = 0u; k < (i & 7u); k++) for (uint j = k; j < (a[i] & 7u); j++) s += j * k + 1u; b[i] = s;",
    ),
    Program(
        "switch",
        "switch (i % 5u) { case 0u: b[i] = 1u; break; case 1u: b[i] = a[i]; break; case 2u: b[i] = ~a[i]; default: b[i] += 9u; }",
    ),
    Program(
        "collatz",
        "uint x = (a[i] & 0xffu) + 1u, k = 0u; while (x != 1u && k < 200u) { x = (x & 1u) == 0u ? x / 2u : 3u * x + 1u; k++; } b[i] = k;",
    ),
    Program(
        "local_array",
        "uint t[8]; for (uint k = 0u; k < 8u; k++) t[k] = a[(i + k) % n]; b[i] = t[a[i] & 7u] + t[(i * 3u) & 7u];",
    ),
    Program(
        "local_sort",
        "uint t[6]; for (int k = 0; k < 6; k++) t[k] = a[(i + uint(k)) % n]; for (int k = 1; k < 6; k++) { uint v = t[k]; int j = k; while (j > 0 && t[j - 1] > v) { t[j] = t[j - 1]; j--; } t[j] = v; } b[i] = t[2];",
    ),
    Program(
        "constant_array",
        "const uint t[8] = uint[](3u, 1u, 4u, 1u, 5u, 9u, 2u, 6u); b[i] = t[a[i] & 7u] * t[i & 7u];",
    ),
    Program(
        "function_calls",
        "b[i] = gcd(a[i] & 0xffffu, (i + 1u) * 12u);",
        "uint gcd(uint x, uint y) { while (y != 0u) { uint t = x % y; x = y; y = t; } return x; }",
    ),
    Program(
        "shared_reverse",
        "s[gl_LocalInvocationIndex] = a[i]; barrier(); b[i] = s[63u - gl_LocalInvocationIndex];",
        "shared uint s[64];",
    ),
    Program(
        "shared_reduce",
        "uint l = gl_LocalInvocationIndex; s[l] = a[i]; barrier(); for (uint k = 32u; k > 0u; k >>= 1) { if (l < k) s[l] += s[l + k]; barrier(); } b[i] = s[0];",
        "shared uint s[64];",
    ),
    Program(
        "shared_scan",
        "uint l = gl_LocalInvocationIndex; s[l] = a[i]; barrier(); for (uint k = 1u; k < 64u; k <<= 1) { uint v = l >= k ? s[l - k] : 0u; barrier(); s[l] += v; barrier(); } b[i] = s[l];",
        "shared uint s[64];",
    ),
    Program(
        "shared_bitonic",
        "uint l = gl_LocalInvocationIndex; s[l] = a[i]; barrier(); for (uint k = 2u; k <= 64u; k <<= 1) for (uint j = k >> 1; j > 0u; j >>= 1) { uint o = l ^ j; if (o > l && ((s[l] > s[o]) == ((l & k) == 0u))) { uint t = s[l]; s[l] = s[o]; s[o] = t; } barrier(); } b[i] = s[l];",
        "shared uint s[64];",
        debug="nopsched",
    ),
    Program(
        "shared_atomic",
        "if (gl_LocalInvocationIndex == 0u) c = 0u; barrier(); atomicAdd(c, a[i] & 3u); barrier(); b[i] = c;",
        "shared uint c;",
    ),
    Program("atomic_add", "atomicAdd(b[a[i] & 15u], 1u); if (i >= 16u) b[i] = i;"),
    Program(
        "atomic_min_max",
        "atomicMax(b[i & 7u], a[i]); atomicMin(b[8u + (i & 7u)], a[i] >> 3); if (i >= 16u) b[i] = 1u;",
    ),
    Program(
        "atomic_bits",
        "atomicOr(b[i & 7u], a[i]); atomicXor(b[8u + (i & 7u)], a[i]); atomicAnd(b[16u + (i & 7u)], a[i]);",
    ),
    Program("atomic_returns", "uint old = atomicAdd(b[i], 5u); atomicExchange(b[i], old + a[i]);"),
    Program(
        "atomic_compare",
        "uint seen = b[0]; for (int k = 0; k < 2000; k++) { uint was = atomicCompSwap(b[0], seen, seen + 1u); if (was == seen) break; seen = was; }",
        local=(16, 1, 1),
        groups=(2, 1, 1),
    ),
    Program(
        "three_dimensions",
        "b[i] = gl_WorkGroupID.x + 10u * gl_WorkGroupID.y + 100u * gl_WorkGroupID.z + 1000u * gl_LocalInvocationIndex;",
        local=(4, 4, 4),
        groups=(2, 3, 2),
    ),
    Program(
        "two_dimensions",
        "b[i] = a[i] ^ (gl_GlobalInvocationID.x << 16) ^ gl_GlobalInvocationID.y;",
        local=(8, 8, 1),
        groups=(4, 4, 1),
    ),
    Program(
        "odd_group", "b[i] = a[i] + gl_LocalInvocationID.x;", local=(37, 1, 1), groups=(11, 1, 1)
    ),
    Program(
        "xorshift",
        "uint x = a[i] | 1u; for (int k = 0; k < 16; k++) { x ^= x << 13; x ^= x >> 17; x ^= x << 5; } b[i] = x;",
    ),
    Program(
        "crc32",
        "uint c = ~0u; uint v = a[i]; for (int k = 0; k < 32; k++) { c = ((c ^ v) & 1u) != 0u ? (c >> 1) ^ 0xedb88320u : c >> 1; v >>= 1; } b[i] = ~c;",
    ),
    Program(
        "hash",
        "uint h = 2166136261u; for (uint k = 0u; k < 4u; k++) h = (h ^ ((a[i] >> (8u * k)) & 255u)) * 16777619u; b[i] = h;",
    ),
    Program(
        "matrix_multiply",
        "uint r = i / 32u, c = i % 32u, s = 0u; for (uint k = 0u; k < 32u; k++) s += a[r * 32u + k] * a[k * 32u + c]; b[i] = s;",
    ),
    Program(
        "mandelbrot",
        "float x = 0.0, y = 0.0, u = float(i % 32u) / 16.0 - 1.5, v = float(i / 32u) / 16.0 - 1.0; uint k = 0u; while (k < 40u && x * x + y * y < 4.0) { precise float t = x * x - y * y + u; precise float w = 2.0 * x * y + v; x = t; y = w; k++; } b[i] = k;",
    ),
    Program(
        "life",
        "uint s = 0u; for (int d = 0; d < 9; d++) if (d != 4) s += a[(i + n + uint(d % 3) - 1u + 32u * (uint(d / 3)) - 32u) % n] & 1u; b[i] = s == 3u || (s == 2u && (a[i] & 1u) != 0u) ? 1u : 0u;",
    ),
    Program(
        "sieve",
        "uint x = i + 2u; bool prime = true; for (uint d = 2u; d * d <= x; d++) if (x % d == 0u) { prime = false; break; } b[i] = prime ? x : 0u;",
    ),
    Program(
        "binary_search",
        "uint key = i * 7u, lo = 0u, hi = 256u; while (lo < hi) { uint mid = (lo + hi) / 2u; if (mid * 29u < key) lo = mid + 1u; else hi = mid; } b[i] = lo;",
    ),
    Program("early_return", "if ((a[i] & 3u) == 0u) return; b[i] = a[i];"),
    Program(
        "special_floats",
        "float x = uintBitsToFloat(a[i] | 0x7f800000u); b[i] = (isnan(x) ? 1u : 0u) | (isinf(x) ? 2u : 0u);",
    ),
]
