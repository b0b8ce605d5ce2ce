"""The study: what becomes of inode eviction in memory reclaim under each proposal."""
