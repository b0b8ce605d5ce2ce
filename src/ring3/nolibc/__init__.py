"""A libc that is only headers: templates, generation per architecture, toolchains, builds, sizes."""
