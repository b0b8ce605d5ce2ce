"""What shared buffers need: fences and their containers, reservations, sync files, dma-bufs, sw_sync."""
