//! What the kernel offers beyond std: fd tables, limits, socket options, pinning.
