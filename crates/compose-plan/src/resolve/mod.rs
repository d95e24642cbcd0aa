//! A request and a repo's refs to a commit.
