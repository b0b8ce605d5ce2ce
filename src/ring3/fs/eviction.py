"""Where an inode leaves memory, a policy is asked.  The kernel's own behaviour is the base class.

Filesystems and the inode cache know only this interface; the policies under study are in
ring3.reclaim.policies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ring3.fs.inode import Inode
    from ring3.fs.super import SuperBlock


class Eviction:
    """As today: whatever the shrinker isolates and whatever loses its last user is evicted on the spot."""

    name = "as today"

    def mount(self, sb: SuperBlock) -> None:
        """A filesystem is mounted: set aside what the policy needs."""

    def may_isolate(self, inode: Inode) -> bool:
        """Whether the shrinker may take ``inode`` off the LRU.  Must not sleep."""
        return True

    def dispose(self, inode: Inode) -> None:
        """``inode`` was isolated by the shrinker and is marked I_FREEING."""
        inode.sb.evict(inode)

    def final(self, inode: Inode) -> None:
        """The last user of ``inode`` is gone and nothing speaks for keeping it; it is marked I_FREEING."""
        inode.sb.evict(inode)

    def pending(self, inode: Inode) -> None:
        """From now on evicting ``inode`` means work (an unlink, a preallocation...).  May sleep."""

    def held_back(self) -> int:
        """Pages that the policy keeps for itself now."""
        return 0
