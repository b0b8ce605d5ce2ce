"""Direct calls once macros are expanded: names handed to a macro, or pasted in it, are calls, too."""

from __future__ import annotations

from collections.abc import Iterator

from ring3.audit.program import WORD, Program

#: Macros in macros so deep; the kernel's deepest (printk, tracepoints) take eight.
_DEEPEST = 12


def direct_calls(program: Program, function: int) -> frozenset[str]:
    """The names that ``function`` calls, macros replaced by what their bodies call.

    A call inside an argument counts as the caller's own; of an #ifdef both sides count.  Inline functions are
    names like any other.
    """
    found: set[str] = set()
    path = program.file[function]
    seen: set[tuple[int, tuple[str, ...]]] = set()
    stack: list[tuple[int, dict[str, str], int]] = [(function, {}, 0)]
    while stack:
        at, bound, depth = stack.pop()
        for name, args in _calls(program, at, bound):
            found.add(name)
            callee = program.resolve(name, path)
            if callee is None or not program.functions[callee].macro or depth > _DEEPEST:
                continue
            if (callee, args) not in seen:
                seen.add((callee, args))
                stack.append((callee, _bind(program, callee, args), depth + 1))
    return frozenset(found)


def _calls(
    program: Program, function: int, bound: dict[str, str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(name, arguments) of the calls in a body, with the macro's parameters replaced by ``bound``."""
    for event in program.events(function):
        if event[0] == "c":
            name = program.alias(_replace(event[2], bound))
            if WORD.fullmatch(name):
                yield name, tuple(_replace(arg, bound) for arg in event[3])


def _bind(program: Program, macro: int, args: tuple[str, ...]) -> dict[str, str]:
    names = [name for _, name in program.functions[macro].params]
    bound = dict(zip(names, args, strict=False))
    if names and names[-1] == "...":
        bound.pop("...", None)
        bound["__VA_ARGS__"] = ", ".join(args[len(names) - 1 :])
    return bound


def _replace(text: str, bound: dict[str, str]) -> str:
    if not bound:
        return text
    if WORD.fullmatch(text):
        return bound.get(text, text).strip()
    if "$" in text:
        return "".join(bound.get(part, part).strip() for part in text.split("$"))
    return text
