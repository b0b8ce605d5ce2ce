"""Inode and dentry caches, page cache, buffers; the inode lifetimes of five filesystems."""
