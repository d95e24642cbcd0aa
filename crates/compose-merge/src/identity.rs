//! Recognizes documents that are one thing each. Merged key by key, they would become things that
//! nobody wrote or that nobody can decrypt.

use crate::{
    refusal::Reason,
    tree::{NodeId, Tree},
    whole_document::WholeDocument,
};

/// A row of [`WHOLE_DOCUMENTS`].
#[derive(Clone, Copy, Debug)]
pub struct WholeRow {
    /// The type of document.
    pub document: WholeDocument,
    /// The sign by which it is recognized, for the docs.
    pub sign: &'static str,
}

const fn row(document: WholeDocument, sign: &'static str) -> WholeRow {
    WholeRow { document, sign }
}

/// The documents that are taken as a whole, wherever they are.
pub const WHOLE_DOCUMENTS: &[WholeRow] = &[
    row(WholeDocument::Sops, "a mapping `sops` with a `mac`"),
    row(
        WholeDocument::AnsibleVault,
        "the text begins with `$ANSIBLE_VAULT;`",
    ),
    row(
        WholeDocument::Age,
        "the text begins with `age-encryption.org/` or `-----BEGIN AGE ENCRYPTED FILE-----`",
    ),
    row(
        WholeDocument::GitCrypt,
        "the file begins with a zero byte and `GITCRYPT`",
    ),
    row(WholeDocument::SealedSecret, "`kind: SealedSecret`"),
    row(
        WholeDocument::Manifest,
        "`apiVersion` and `kind`; `kind`, `metadata.name` or `metadata.namespace` differ",
    ),
    row(
        WholeDocument::Dashboard,
        "`panels` and `schemaVersion`; `uid` differs",
    ),
    row(WholeDocument::TerraformState, "`terraform_version` and `lineage`"),
];

/// The fields that decide whether two entries of a mapping are one thing, each with the key above
/// it. They cover the resources and parameters of CloudFormation, and the resources of Pulumi and
/// OpenStack Heat.
const TYPE_FIELDS: &[(&str, &str)] = &[
    ("Resources", "Type"),
    ("Parameters", "Type"),
    ("resources", "type"),
];

/// Returns the field that holds the type of a mapping's entries, by the mapping's key.
pub(crate) fn type_field(parent: &str) -> Option<&'static str> {
    let row = TYPE_FIELDS.iter().find(|(key, _)| *key == parent)?;
    Some(row.1)
}

/// Returns the reason for which encrypted bytes of any format are not merged.
pub(crate) fn encrypted(bytes: &[u8]) -> Option<Reason> {
    const SIGNS: &[(&[u8], WholeDocument)] = &[
        (b"$ANSIBLE_VAULT;", WholeDocument::AnsibleVault),
        (b"age-encryption.org/", WholeDocument::Age),
        (b"-----BEGIN AGE ENCRYPTED FILE-----", WholeDocument::Age),
        (b"\0GITCRYPT\0", WholeDocument::GitCrypt),
    ];
    let found = SIGNS.iter().find(|(sign, _)| bytes.starts_with(sign))?;
    Some(Reason::Whole(found.1))
}

/// Finds a document that is not merged with the others, and returns its index and its type.
pub(crate) fn find_whole(trees: &[Tree<'_>]) -> Option<(usize, WholeDocument)> {
    let own = trees
        .iter()
        .enumerate()
        .find_map(|(index, tree)| Some((index, whole(tree)?)));
    own.or_else(|| {
        let identities: Vec<Identity<'_>> = trees.iter().map(Identity::of).collect();
        (1..trees.len()).find_map(|higher| {
            let differs = |lower: &Identity<'_>| identities[higher].differs(lower);
            let found = identities[..higher].iter().find_map(differs)?;
            Some((higher, found))
        })
    })
}

/// Returns the type of a document that is never merged.
fn whole(tree: &Tree<'_>) -> Option<WholeDocument> {
    let has = |path: &[&str]| tree.find(path).is_some();
    if has(&["sops", "mac"]) {
        Some(WholeDocument::Sops)
    } else if text(tree, &["kind"]) == Some("SealedSecret") {
        Some(WholeDocument::SealedSecret)
    } else if has(&["terraform_version"]) && has(&["lineage"]) {
        Some(WholeDocument::TerraformState)
    } else {
        None
    }
}

/// The fields that identify a document. A field that a document lacks does not count as a
/// difference, because an overlay may leave it out.
#[derive(Default)]
struct Identity<'t> {
    /// The kind, name and namespace of a Kubernetes object.
    manifest: Option<[Option<&'t str>; 3]>,
    /// The uid of a dashboard.
    dashboard: Option<&'t str>,
}

impl<'t> Identity<'t> {
    fn of(tree: &'t Tree<'_>) -> Self {
        let has = |key| tree.find(&[key]).is_some();
        let manifest = (has("apiVersion") && has("kind")).then(|| {
            [
                text(tree, &["kind"]),
                text(tree, &["metadata", "name"]),
                text(tree, &["metadata", "namespace"]),
            ]
        });
        let is_dashboard = has("panels") && has("schemaVersion");
        Self {
            manifest,
            dashboard: text(tree, &["uid"]).filter(|_| is_dashboard),
        }
    }

    fn differs(&self, other: &Identity<'_>) -> Option<WholeDocument> {
        let differ = |(one, other): (Option<&str>, Option<&str>)| {
            one.zip(other).is_some_and(|(one, other)| one != other)
        };
        if let (Some(one), Some(other)) = (self.manifest, other.manifest)
            && one.into_iter().zip(other).any(differ)
        {
            return Some(WholeDocument::Manifest);
        }
        differ((self.dashboard, other.dashboard)).then_some(WholeDocument::Dashboard)
    }
}

/// Returns the text of a scalar that is not empty or null.
fn text<'t>(tree: &'t Tree<'_>, path: &[&str]) -> Option<&'t str> {
    let node: NodeId = tree.find(path)?;
    tree.value(node)
        .filter(|value| !value.is_empty() && !tree.nodes[node].is_null())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        document::{Json, Yaml},
        merger::{MergeOutcome, Merger},
        tests::{conflicts, equals, last, merge_text, merged},
        tfvars::Tfvars,
    };

    fn refused(merger: &dyn Merger, texts: &[&str]) -> (usize, WholeDocument) {
        let error = merge_text(merger, texts, last).unwrap_err();
        assert!(error.refusal.reason.is_by_design());
        match error.refusal.reason {
            Reason::Whole(document) => (error.index, document),
            other => panic!("{other}: {texts:?}"),
        }
    }

    #[test]
    fn encrypted_documents_are_never_merged() {
        let plain = "a: 1\n";
        let sops = "a: ENC[AES256_GCM,data:x,type:int]\nsops:\n  mac: ENC[x]\n  version: 3.9.0\n";
        for (text, document) in [
            (sops, WholeDocument::Sops),
            ("$ANSIBLE_VAULT;1.1;AES256\n6133\n", WholeDocument::AnsibleVault),
            ("age-encryption.org/v1\n-> X\n", WholeDocument::Age),
            ("-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n", WholeDocument::Age),
            ("\0GITCRYPT\0\u{1}", WholeDocument::GitCrypt),
            (
                "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nspec: {}\n",
                WholeDocument::SealedSecret,
            ),
        ] {
            assert_eq!(refused(&Yaml, &[plain, text]), (1, document), "{text}");
            assert_eq!(refused(&Yaml, &[text, plain]), (0, document), "{text}");
        }
        let json = "{\"a\": \"ENC[x]\", \"sops\": {\"mac\": \"ENC[y]\"}}";
        assert_eq!(refused(&Json, &["{}", json]), (1, WholeDocument::Sops));
        let state = "{\"version\": 4, \"terraform_version\": \"1.5.0\", \"lineage\": \"x\"}";
        assert_eq!(refused(&Json, &["{}", state]), (1, WholeDocument::TerraformState));
        let vault = "$ANSIBLE_VAULT;1.1;AES256\n6133\n";
        assert_eq!(
            refused(&Tfvars, &["a = 1\n", vault]),
            (1, WholeDocument::AnsibleVault)
        );
        // An encrypted value is a value like any other, and `sops` may be the name of anything.
        merged(
            &Yaml,
            &["a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  61\nb: 1\n", "b: 2\n"],
            last,
        );
        merged(&Yaml, &["sops: {image: x}\n", "sops: {image: y}\n"], last);
    }

    #[test]
    fn objects_are_merged_with_themselves_only() {
        let object = |kind: &str, name: &str, space: &str| {
            format!(
                "apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: {space}\nx: {name}\n"
            )
        };
        let one = object("ConfigMap", "a", "n");
        for other in [
            object("Secret", "a", "n"),
            object("ConfigMap", "b", "n"),
            object("ConfigMap", "a", "m"),
        ] {
            assert_eq!(
                refused(&Yaml, &[&one, &other]),
                (1, WholeDocument::Manifest),
                "{other}"
            );
        }
        for same in [
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nx: 2\n",
            "apiVersion: v2\nkind: ConfigMap\nmetadata: {name: a, namespace: n}\n",
            "x: 2\n",
            "kind: other\n",
        ] {
            merged(&Yaml, &[&one, same], last);
        }
        let dashboard = |uid: &str| format!("{{\"uid\": {uid}, \"schemaVersion\": 39, \"panels\": []}}");
        let texts = [dashboard("\"a\""), dashboard("\"b\""), dashboard("null")];
        assert_eq!(
            refused(&Json, &[&texts[0], &texts[1]]),
            (1, WholeDocument::Dashboard)
        );
        merged(&Json, &[&texts[0], &texts[2]], last);
        merged(&Json, &["{\"uid\": \"a\"}", "{\"uid\": \"b\"}"], last);
    }

    #[test]
    fn a_resource_of_another_type_is_another_resource() {
        let lower = "Resources:\n  Data:\n    Type: AWS::S3::Bucket\n    Properties: {BucketName: x}\n  Log:\n    Type: AWS::SQS::Queue\n    Properties: {DelaySeconds: 5}\n";
        let higher = "Resources:\n  Data:\n    Type: AWS::SNS::Topic\n    Properties: {TopicName: y}\n  Log:\n    Properties: {FifoQueue: true}\n";
        let found = merged(&Yaml, &[lower, higher], last);
        assert_eq!(
            String::from_utf8(found.bytes).unwrap(),
            "Resources:\n  Data:\n    Type: AWS::SNS::Topic\n    Properties: {TopicName: y}\n  Log:\n    Type: AWS::SQS::Queue\n    Properties: {DelaySeconds: 5, FifoQueue: true}\n"
        );
        let found = conflicts(&Yaml, &[lower, higher], equals);
        let keys: Vec<&str> = found.iter().map(|conflict| conflict.key.as_str()).collect();
        assert_eq!(keys, ["Resources.Data"]);
        let pulumi = |kind: &str, more: &str| {
            format!("{{\"resources\": {{\"b\": {{\"type\": \"{kind}\", \"properties\": {{{more}}}}}}}}}")
        };
        let found = merged(
            &Json,
            &[&pulumi("aws:s3", "\"a\": 1"), &pulumi("aws:sns", "\"b\": 2")],
            last,
        );
        assert_eq!(
            String::from_utf8(found.bytes).unwrap(),
            pulumi("aws:sns", "\"b\": 2")
        );
        // Elsewhere, a type is a value like any other.
        let outcome = merge_text(
            &Yaml,
            &["service: {Type: a, x: 1}\n", "service: {Type: b}\n"],
            last,
        );
        let Ok(MergeOutcome::Merged(found)) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(
            String::from_utf8(found.bytes).unwrap(),
            "service: {Type: b, x: 1}\n"
        );
    }

    #[test]
    fn the_docs_show_the_same_documents() {
        let docs = include_str!("../../../docs/composition.md");
        let shown: Vec<&str> = docs.lines().filter(|line| line.starts_with("| a ")).collect();
        let rows: Vec<String> = WHOLE_DOCUMENTS
            .iter()
            .map(|row| format!("| {} | {} |", row.document, row.sign))
            .collect();
        assert_eq!(shown, rows);
    }
}
