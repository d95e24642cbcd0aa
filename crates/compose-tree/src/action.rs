//! What was done to a file when it failed.

use std::fmt;

/// What could not be done to a file, directory or link. Its text stands after "cannot" and before
/// the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To copy a fifo, a socket or a device.
    CopySpecialFile,
    /// To create a file or directory.
    Create,
    /// To create a directory with a name of its own.
    CreateDirectoryIn,
    /// To make a path absolute.
    Find,
    /// To keep a composition's state for the process that follows.
    Keep,
    /// To create a link.
    Link,
    /// To list a directory.
    List,
    /// To lock a file.
    Lock,
    /// To move a file to the operations repo.
    Move,
    /// To open a file or directory.
    Open,
    /// To give a directory a mode that lets every user write to it.
    OpenToEveryUser,
    /// To read a file, or what is known about it.
    Read,
    /// To read the record of what a composition was made of.
    ReadStaged,
    /// To remove a file or directory.
    Remove,
    /// To put one thing in the place of another.
    Replace,
    /// To set a file's time of modification.
    SetTime,
    /// To switch the pipeline's path back to the user's own repo.
    SwitchBack,
    /// To take over the state of the process before.
    TakeOver,
    /// To write a file.
    Write,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CopySpecialFile => "copy the special file",
            Self::Create => "create",
            Self::CreateDirectoryIn => "create a directory in",
            Self::Find => "find",
            Self::Keep => "keep",
            Self::Link => "link",
            Self::List => "list",
            Self::Lock => "lock",
            Self::Move => "move",
            Self::Open => "open",
            Self::OpenToEveryUser => "open to every user",
            Self::Read => "read",
            Self::ReadStaged => "read what was staged in",
            Self::Remove => "remove",
            Self::Replace => "replace",
            Self::SetTime => "set the time of",
            Self::SwitchBack => "switch back",
            Self::TakeOver => "take over",
            Self::Write => "write",
        })
    }
}
