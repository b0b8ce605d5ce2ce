"""The files behind a recording: found by name and build-id, or in the recording itself."""

from __future__ import annotations

from ring3.sframe import elf_head, facts
from ring3.sframe.elf_head import Image
from ring3.sframe.facts import Facts
from ring3.sframe.perf_data import Extras
from ring3.sframe.record import vdso_image
from ring3.sframe.spaces import ImageName


class Images:
    """Opens the images of one recording."""

    def __init__(self, names: list[ImageName], extras: Extras) -> None:
        self._names = names
        self._kept = {(name, build_id): data for name, build_id, data in extras.images}

    def find(self, number: int) -> tuple[Image | None, Facts]:
        """Head and facts of image ``number``; where it is not to be had, facts that say why.

        In this order: an image that the recording kept; the file of that name, if its build-id is the
        recorded one; for the vDSO, this kernel's, if it is the same.
        """
        name = self._names[number]
        kept = self._kept.get((name.path, name.build_id))
        if kept is not None:
            return elf_head.read_bytes(kept), facts.of_bytes(name.path, kept)
        if name.path == "[vdso]" and name.build_id:
            own = vdso_image()
            head = elf_head.read_bytes(own)
            if head is not None and head.build_id == name.build_id:
                return head, facts.of_bytes(name.path, own)
        if not name.path.startswith("/") or name.path.startswith(("//", "/memfd:")):
            return None, Facts(problem="no file")
        head = elf_head.read_path(name.path)
        if head is None:
            return None, Facts(problem=f"{name.path} is not here, or no ELF file")
        if name.build_id and head.build_id != name.build_id:
            return None, Facts(problem=f"{name.path} is not the file that was recorded")
        return head, facts.of_file(name.path, head)
