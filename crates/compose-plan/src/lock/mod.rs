//! `bitops.lock.yaml`.
