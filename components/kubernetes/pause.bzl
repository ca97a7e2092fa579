"""The version of pause, which is not that of Kubernetes."""

# TAG of upstream's build/pause/Makefile; a test compares.
PAUSE_VERSION = "v3.10.2"
