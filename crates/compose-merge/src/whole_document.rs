//! The types of documents that are taken as a whole.

use thiserror::Error;

/// A type of document that is taken as a whole, although its path is in a class that is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WholeDocument {
    /// A file encrypted with SOPS. Its values are encrypted one by one, under one authentication
    /// code for all of them.
    #[error("a file encrypted with SOPS")]
    Sops,
    /// A file encrypted with Ansible Vault.
    #[error("a file encrypted with ansible-vault")]
    AnsibleVault,
    /// A file encrypted with age, in binary or armoured form.
    #[error("a file encrypted with age")]
    Age,
    /// A file encrypted with git-crypt, in a locked repo.
    #[error("a file encrypted with git-crypt")]
    GitCrypt,
    /// A sealed secret of Bitnami's, which is sealed for one name and namespace.
    #[error("a sealed secret")]
    SealedSecret,
    /// A Kubernetes object whose identity differs from that of the one below it.
    #[error("a Kubernetes object of another kind, name or namespace")]
    Manifest,
    /// A Grafana dashboard whose identity differs from that of the one below it.
    #[error("a Grafana dashboard with another uid")]
    Dashboard,
    /// The state of a Terraform configuration.
    #[error("a Terraform state")]
    TerraformState,
}
