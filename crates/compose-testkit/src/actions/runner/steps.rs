//! Runs steps in order, with their conditions and outputs, including the steps of actions.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_yaml::Value;

use super::super::expression::{Contexts, holds, interpolate};
use super::{Done, Runner};
use crate::run::Run;

impl Runner {
    pub(super) fn composite(&mut self, directory: &Path, with: &BTreeMap<String, String>) -> Done {
        let file = directory.join("action.yml");
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let action: Value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(action["runs"]["using"], "composite");
        let mut contexts = self.contexts.clone();
        let declared = action["inputs"].as_mapping().cloned().unwrap_or_default();
        for name in with.keys() {
            assert!(
                declared.contains_key(name.as_str()),
                "{name} is not an input of {}",
                file.display()
            );
        }
        for (name, input) in &declared {
            let name = name.as_str().expect("a name");
            let default = interpolate(input["default"].as_str().unwrap_or_default(), &self.contexts);
            let value = with.get(name).cloned().unwrap_or(default);
            contexts.insert(format!("inputs.{name}"), value);
        }
        let steps = action["runs"]["steps"]
            .as_sequence()
            .expect("an action has steps")
            .clone();
        let (mut done, contexts) = self.steps_with_contexts(&steps, contexts, Some(directory));
        let outputs = action["outputs"].as_mapping().cloned().unwrap_or_default();
        done.outputs = outputs
            .iter()
            .map(|(name, output)| {
                let value = output["value"].as_str().expect("an output has a value");
                (
                    name.as_str().expect("a name").to_owned(),
                    interpolate(value, &contexts),
                )
            })
            .collect();
        done
    }

    pub(super) fn run_steps(&mut self, steps: &[Value], contexts: Contexts, action: Option<&Path>) -> Done {
        self.steps_with_contexts(steps, contexts, action).0
    }

    fn steps_with_contexts(
        &mut self,
        steps: &[Value],
        mut contexts: Contexts,
        action: Option<&Path>,
    ) -> (Done, Contexts) {
        let mut done = Done::default();
        let mut success = true;
        for step in steps {
            let condition = match &step["if"] {
                Value::Null => "success()".to_owned(),
                Value::String(condition) => condition.clone(),
                Value::Bool(value) => value.to_string(),
                other => panic!("{other:?} is not a condition"),
            };
            if !holds(&condition, &contexts, success) {
                continue;
            }
            let one = self.step(step, &contexts, action);
            success &= one.runs.iter().all(Run::success);
            if let Some(id) = step["id"].as_str() {
                for (name, value) in &one.outputs {
                    contexts.insert(format!("steps.{id}.outputs.{name}"), value.clone());
                }
            }
            done.runs.extend(one.runs);
            done.summary.push_str(&one.summary);
            if !one.outputs.is_empty() {
                done.outputs = one.outputs;
            }
        }
        (done, contexts)
    }

    fn step(&mut self, step: &Value, contexts: &Contexts, action: Option<&Path>) -> Done {
        let own = map(&step["env"], contexts);
        if let Some(uses) = step["uses"].as_str() {
            let with = map(&step["with"], contexts);
            let name = uses.split('@').next().unwrap_or_default().to_owned();
            self.used.push((name.clone(), with.clone()));
            if let Some(image) = uses.strip_prefix("docker://") {
                return self.container_step(&interpolate(image, contexts), &with, &own);
            }
            let Some(directory) = self.actions.get(&name).cloned() else {
                return Done::default();
            };
            // The steps of an action see the `env` of the step that uses it.
            let before = self.environment.clone();
            self.environment.extend(own);
            let done = self.composite(&directory, &with);
            self.environment = before;
            return done;
        }
        let script = step["run"]
            .as_str()
            .expect("a step uses something or runs something");
        let shell = step["shell"].as_str();
        assert!(
            shell == Some("bash") || (shell.is_none() && action.is_none()),
            "a step of an action names its shell"
        );
        let directory = step["working-directory"]
            .as_str()
            .map(|path| interpolate(path, contexts));
        self.script(&interpolate(script, contexts), shell, directory, own, action)
    }
}

/// Reads a mapping of texts with expressions.
pub(super) fn map(value: &Value, contexts: &Contexts) -> BTreeMap<String, String> {
    let Some(map) = value.as_mapping() else {
        return BTreeMap::new();
    };
    map.iter()
        .map(|(name, value)| {
            let value = match value {
                Value::String(text) => interpolate(text, contexts),
                Value::Bool(value) => value.to_string(),
                Value::Number(value) => value.to_string(),
                other => panic!("{other:?} is not a text"),
            };
            (name.as_str().expect("a name").to_owned(), value)
        })
        .collect()
}
