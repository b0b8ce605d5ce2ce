"""What any GPU driver needs: files and ioctls, GEM, GPUVM, exec, the scheduler, syncobjs, PRIME."""
