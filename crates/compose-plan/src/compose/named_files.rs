//! The files of variables that deployments name for Terraform's `-var-file`.

use compose_model::{TreePath, file_name::CONFIG};
use compose_yaml::Tree;

use super::{
    ComposeError, composition::Write, contributions::Dir, deployments::PlannedDeployment,
    precedence::Settler, var_files::NamedFiles,
};
use crate::layer::LocalKind;

impl NamedFiles {
    /// Reads `terraform.cli.var-file`, a key of BitOps' Terraform plugin, in the composed config of
    /// each deployment.
    pub(super) fn read(
        settler: &Settler<'_>,
        tree: &Dir<'_>,
        deployments: &[PlannedDeployment],
    ) -> Result<Self, ComposeError> {
        let mut named = Self::default();
        if settler
            .request
            .layers
            .layers
            .iter()
            .all(|layer| layer.files.is_empty())
        {
            return Ok(named);
        }
        for deployment in deployments {
            let name = deployment.name.trim_end_matches('/');
            let dir = TreePath::new(format!("{}/{name}", settler.request.environment));
            let Ok(dir) = dir else { continue };
            let Some(text) = config(settler, tree, &dir)? else {
                continue;
            };
            let Ok(text) = compose_yaml::decode(&text) else {
                continue;
            };
            let Ok(config) = Tree::parse(text.text) else {
                continue;
            };
            let found = config.find(&["terraform", "cli", "var-file"]);
            let value = found.and_then(|found| config.value(found));
            if let Some(file) = value.and_then(|value| relative_to(&dir, value)) {
                named.0.entry(file).or_default().insert(dir);
            }
        }
        Ok(named)
    }
}

/// Returns the composed config of a deployment if it may name a file of variables.
fn config(settler: &Settler<'_>, tree: &Dir<'_>, dir: &TreePath) -> Result<Option<Vec<u8>>, ComposeError> {
    let Ok(path) = dir.child(CONFIG) else {
        return Ok(None);
    };
    let request = settler.request;
    let files = tree.files(&path);
    let local = request.local.kind(&path)?;
    let local = local.filter(|kind| *kind != LocalKind::Directory);
    let mut texts = Vec::new();
    for file in files {
        texts.push(settler.bytes(file)?);
    }
    if let Some(LocalKind::File(_)) = local {
        texts.push(request.local.read(&path)?);
    }
    let key = b"var-file";
    if !texts
        .iter()
        .any(|text| text.windows(key.len()).any(|part| part == key))
    {
        return Ok(None);
    }
    // A config in conflict is reported where it is composed.
    let Ok(settled) = settler.settle(&path, files, local)? else {
        return Ok(None);
    };
    Ok(Some(match settled.file.write {
        Write::Bytes { bytes, .. } => bytes,
        Write::Blob { source, file } => request.contents.read(source, &file)?.to_vec(),
        Write::Local => request.local.read(&path)?.to_vec(),
    }))
}

/// Returns the path of a file that a deployment names, or `None` if it is not in the operations
/// repo.
fn relative_to(dir: &TreePath, name: &str) -> Option<TreePath> {
    if name.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = dir.components().collect();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    TreePath::new(parts.join("/")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_relative_to_the_deployment() {
        let dir = TreePath::new("dev/terraform").unwrap();
        for (name, path) in [
            ("dev.tfvars", Some("dev/terraform/dev.tfvars")),
            ("./envs//dev.tfvars", Some("dev/terraform/envs/dev.tfvars")),
            ("../common/x", Some("dev/common/x")),
            ("../../x", Some("x")),
            ("../../../x", None),
            ("/opt/x.tfvars", None),
            ("", Some("dev/terraform")),
        ] {
            let found = relative_to(&dir, name);
            assert_eq!(found.as_ref().map(TreePath::as_str), path, "{name}");
        }
    }
}
