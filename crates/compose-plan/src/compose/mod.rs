//! Layers to a composition: files, conflicts, warnings, deployments, provenance.
