"""One pipeline for the kernel's tests: kselftests in user space and KUnit inside a booted kernel."""
