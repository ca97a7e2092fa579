"""The release that the revision is."""

# Upstream's tag on the revision: the module proxy knows the revision alone.
RELEASE = "v3.31.0"
