//! The JSON Schema of a config, for editors.

use compose_model::config_key::{LIST, PARENT};
use serde_json::{Map, Value, json};

use super::{
    forms::Form,
    keys::{self, Key, Shape},
};

/// The draft that editors take: yaml-language-server and SchemaStore know draft-07 best.
const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// Where the schemas of the newest release can be fetched.
const PUBLISHED: &str = "https://raw.githubusercontent.com/bitovi/bitops-compose/main/docs/schema";

/// The identifier of the config's schema, for a `$schema` comment in a config.
pub fn schema_id() -> String {
    format!("{PUBLISHED}/config.json")
}

/// Returns the JSON Schema (draft-07) of `bitops.config.yaml`, covering what this program
/// reads. The rest of the file is unconstrained. The text ends with a newline and is the same on
/// every call.
pub fn schema() -> String {
    let mut source = mapping(keys::SOURCE);
    let exactly_one = [keys::VERSION, keys::REF].map(|key| json!({ "required": [key] }));
    source.insert("oneOf".into(), json!(exactly_one));
    let list = json!({ "$ref": "#/definitions/sources" });
    let schema = json!({
        "$schema": DRAFT,
        "$id": schema_id(),
        "title": "bitops.config.yaml with default-environments",
        "properties": {
            LIST: list,
            PARENT: { "properties": { LIST: list } },
        },
        "not": {
            "type": "object",
            "required": [LIST, PARENT],
            "properties": { PARENT: { "type": "object", "required": [LIST] } },
        },
        "definitions": {
            "sources": {
                "description": "The environments of other operations repos that this environment is composed of, lowest first. \
                                It stands at the root or under `bitops`.",
                "type": ["array", "null"],
                "items": { "$ref": "#/definitions/source" },
            },
            "source": source,
        },
    });
    format!("{schema:#}\n")
}

/// Returns the JSON Schema (draft-07) of `bitops.lock.yaml`, for editors that show what its keys mean. The text ends with
/// a newline and is the same on every call.
pub(crate) fn lock_schema(sources: &[Key], format: u64, end: &str) -> String {
    let mut source = mapping(sources);
    let exactly_one = [keys::VERSION, keys::REF].map(|key| json!({ "required": [key] }));
    source.insert("oneOf".into(), json!(exactly_one));
    let schema = json!({
        "$schema": DRAFT,
        "$id": format!("{PUBLISHED}/lock.json"),
        "title": "bitops.lock.yaml",
        "description": "The commits that the default-environments of an environment stand for. `bitops-compose lock` and `update` write \
                        it; do not edit it by hand.",
        "type": "object",
        "additionalProperties": false,
        "required": ["format", "sources"],
        "properties": {
            "format": { "description": "The version of this format.", "const": format },
            "sources": { "type": "array", "items": { "$ref": "#/definitions/source" } },
            end: { "description": "Marks the end: a lock without it was cut.", "const": true },
        },
        "definitions": { "source": source },
    });
    format!("{schema:#}\n")
}

fn mapping(keys: &[Key]) -> Map<String, Value> {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let required: Vec<&str> = keys
        .iter()
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    let Value::Object(object) = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "required": required,
    }) else {
        return Map::new();
    };
    object
}

fn text_schema(form: &Form) -> Map<String, Value> {
    let mut object = Map::from_iter([
        ("type".to_owned(), json!(form.types)),
        ("minLength".to_owned(), json!(1)),
    ]);
    if form.unsigned {
        object.insert("minimum".into(), json!(0));
    }
    if let Some(pattern) = form.pattern {
        object.insert("pattern".into(), json!(pattern));
    }
    if let Some(not) = form.not {
        // A pattern only applies to texts, and so does its negation.
        object.insert("not".into(), json!({ "type": "string", "pattern": not }));
    }
    if let Some(expected) = form.expected {
        // Editors know this keyword; the standard lets others pass over it.
        object.insert("errorMessage".into(), json!(expected));
    }
    if let Some(longest) = form.longest {
        object.insert("maxLength".into(), json!(longest));
    }
    object
}

fn property(key: &Key) -> Value {
    let mut object = match &key.shape {
        Shape::Text => text_schema(key.form),
        Shape::Texts => Map::from_iter([
            ("type".to_owned(), json!("array")),
            ("items".to_owned(), json!(text_schema(key.form))),
            ("uniqueItems".to_owned(), json!(key.form.distinct)),
        ]),
        Shape::Flag => Map::from_iter([("type".to_owned(), json!("boolean"))]),
        Shape::Choice(words) => Map::from_iter([("enum".to_owned(), json!(words))]),
        Shape::Mapping(keys) => mapping(keys),
        Shape::Mappings(keys) => Map::from_iter([
            ("type".to_owned(), json!("array")),
            ("items".to_owned(), json!(mapping(keys))),
        ]),
    };
    object.insert("description".into(), json!(key.about));
    if !key.examples.is_empty() {
        let examples = match key.shape {
            Shape::Texts => json!(key.examples.iter().map(|example| [example]).collect::<Vec<_>>()),
            _ => json!(key.examples),
        };
        object.insert("examples".into(), examples);
    }
    Value::Object(object)
}
