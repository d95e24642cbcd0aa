//! For tests: a hermetic command context, a catalog builder, a smart-HTTP git server with faults.
