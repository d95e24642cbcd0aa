//! Staging and materialising a composition, and the mount's symlinks.
