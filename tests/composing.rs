//! Composition as people meet it: what the plan says is what is deployed, and what a remedy says is what helps.

mod common;

use common::{World, world};
use compose_testkit::Catalog;
use serde_json::Value;

/// The plan as programs see it.
#[track_caller]
fn planned(world: &World) -> Value {
    let run = world.context.run(["plan", "--format", "json"]);
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}\n{run}"))
}

#[track_caller]
fn explained(world: &World, path: &str) -> String {
    world.context.run(["explain", path]).expect_code(0).stdout
}

/// A config of entries without `version`, each with more keys.
fn config(world: &World, entries: &[(&str, &str)]) -> String {
    let entry = |(catalog, keys): &(&str, &str)| {
        format!("{{repo: '{{repo}}/{catalog}', environment: env, version: 1.0.0{keys}}}")
    };
    let entries: Vec<String> = entries.iter().map(entry).collect();
    world.config(&entries.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A catalog with a chart of this name, which differs from every other one's, and a file of its own in and beside it.
fn chart(name: &str, chart: &str) -> Catalog {
    let mut catalog = Catalog::new(name);
    for (path, text) in [
        ("Chart.yaml", format!("name: {name}\n")),
        ("bitops.config.yaml", "helm: {}\n".to_owned()),
        ("values.yaml", format!("from: {name}\nport: '{name}'\n")),
        ("templates/a.yaml", format!("# {name}\n")),
    ] {
        catalog.file(&format!("env/helm/{chart}/{path}"), text);
    }
    catalog
        .file(&format!("env/helm/{chart}/{name}.txt"), name)
        .file(&format!("env/helm/{name}/bitops.config.yaml"), "helm: {}\n")
        .tag("1.0.0");
    catalog
}

#[test]
fn a_chart_of_one_name_in_two_catalogs_is_left_out_of_one_by_one_remedy() {
    for name in ["grafana", "a [b]{c,d} !e", "#x"] {
        let world = world(&mut [chart("a", name), chart("b", name)]);
        world
            .context
            .file("dev/bitops.config.yaml", config(&world, &[("a", ""), ("b", "")]));
        let plan = planned(&world);
        let conflicts = plan["conflicts"].as_array().unwrap();
        // Two keys of the values, a key of the chart, a template.
        assert_eq!(conflicts.len(), 4, "{plan:#}");
        for conflict in conflicts {
            let remedy = conflict["remedies"][0].as_str().unwrap();
            let all = format!("for all 3 files of helm/{name}/ that are in conflict: ");
            assert!(remedy.starts_with(&all), "{remedy}");
            assert_eq!(remedy.matches("(its 5 files there)").count(), 2, "{remedy}");
            assert_eq!(
                explained(&world, conflict["path"].as_str().unwrap())
                    .matches(remedy)
                    .count(),
                conflicts
                    .iter()
                    .filter(|other| other["path"] == conflict["path"])
                    .count()
            );
        }
        // Word for word, either way.
        let remedy = conflicts[0]["remedies"][0].as_str().unwrap();
        let globs: Vec<&str> = remedy
            .split("exclude: [")
            .skip(1)
            .map(|part| part.split_once("] in the entry").unwrap().0)
            .collect();
        for (left_out, stays) in [(0, "b"), (1, "a")] {
            let exclude = format!(", exclude: [{}]", globs[left_out]);
            let entries = [
                ("a", if left_out == 0 { exclude.as_str() } else { "" }),
                ("b", if left_out == 1 { exclude.as_str() } else { "" }),
            ];
            world
                .context
                .file("dev/bitops.config.yaml", config(&world, &entries));
            world.context.run(["deploy"]).expect_code(0);
            let seen = world.context.pipeline().unwrap();
            let chart = format!("dev/helm/{name}/");
            assert_eq!(
                seen.text(&format!("{chart}Chart.yaml")),
                Some(format!("name: {stays}\n").as_str()),
                "{exclude}"
            );
            let in_chart = seen
                .files()
                .iter()
                .filter(|file| file.starts_with(&chart))
                .count();
            assert_eq!(in_chart, 5, "{exclude} {:?}", seen.files());
            // What is beside it stays of both.
            for other in ["a", "b"] {
                assert!(
                    seen.text(&format!("dev/helm/{other}/bitops.config.yaml"))
                        .is_some()
                );
            }
        }
    }
}

#[test]
fn a_remedy_among_three_is_for_all_but_one() {
    let world = world(&mut [chart("a", "x"), chart("b", "x"), chart("c", "x")]);
    let with = |keys: [&str; 3]| {
        let entries = [("a", keys[0]), ("b", keys[1]), ("c", keys[2])];
        world
            .context
            .file("dev/bitops.config.yaml", config(&world, &entries));
        let run = world.context.run(["deploy"]);
        let seen = world.context.pipeline();
        let name = seen.and_then(|seen| seen.text("dev/helm/x/Chart.yaml").map(str::to_owned));
        (run.code, name.filter(|_| run.code == Some(0)))
    };
    assert_eq!(with(["", "", ""]).0, Some(65));
    let plan = planned(&world);
    let remedies: Vec<&str> = plan["conflicts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|conflict| conflict["kind"] == "content")
        .and_then(|conflict| conflict["remedies"].as_array())
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        remedies[0].ends_with("all but one of these, and what the remaining one has is used"),
        "{remedies:#?}"
    );
    assert!(
        remedies[1].ends_with("all but one of these, and what the remaining one has is used"),
        "{remedies:#?}"
    );
    let exclude = ", exclude: [\"/helm/x/\"]";
    assert!(remedies[0].contains(&exclude[2..]), "{remedies:#?}");
    assert_eq!(with([exclude, "", ""]).0, Some(65));
    assert_eq!(
        with([exclude, "", exclude]),
        (Some(0), Some("name: b\n".to_owned()))
    );

    let last = remedies.last().unwrap();
    assert!(
        last.starts_with("on-conflict: last in the entry of env of "),
        "{last}"
    );
    assert!(
        last.contains("on-conflict: first in those of all the others"),
        "{last}"
    );
    let (first, last) = (", on-conflict: first", ", on-conflict: last");
    assert_eq!(with(["", "", last]), (Some(0), Some("name: c\n".to_owned())));
    assert_eq!(with(["", first, first]), (Some(0), Some("name: a\n".to_owned())));
}
