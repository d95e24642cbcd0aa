//! The operations repo's path is a link in the image, which it isn't in BitOps' own: what sees that, and the forms that work.

use compose_testkit::docker::Engine;

use crate::world::{DEPLOYMENT, in_each_engine, world};

in_each_engine![copied_into_a_container_and_out_of_it,];

/// In Docker only: what programs in the container see of a link does not depend on the engine.
#[test]
fn a_slash_at_the_end_leads_through_the_link() {
    let world = world(Engine::Docker);
    for script in [
        "find D/ -name mine.txt",
        "cp -r D/. /tmp/x && ls /tmp/x/dev/terraform/mine.txt",
        "cp -r D/ /tmp/x && ls /tmp/x/dev/terraform/mine.txt",
        "cp -rL D /tmp/x && ls /tmp/x/dev/terraform/mine.txt",
        "tar -C D -cf - . | tar -tf -",
        "cd D && find . -name mine.txt",
        "ls D/dev/terraform/*",
        "du -a D/",
        "python3 -c 'from pathlib import Path as p; d = p(\"D\").resolve(); print((d / \"dev/terraform/mine.txt\").relative_to(d))'",
    ] {
        let script = script.replace('D', DEPLOYMENT);
        let run = world
            .engine
            .run(world.arguments(&[&world.bind("", "")], &["sh", "-c", &script]))
            .expect_code(0);
        assert!(run.stdout.contains("terraform/mine.txt"), "{script}\n{run}");
    }
    // Programs that see the link itself.
    for (script, sees) in [
        ("find D -name mine.txt", ""),
        ("find D", "D\n"),
        ("cp -r D /tmp/x; readlink /tmp/x", "bitops-compose/active\n"),
    ] {
        let (script, sees) = (script.replace('D', DEPLOYMENT), sees.replace('D', DEPLOYMENT));
        let run = world
            .engine
            .run(world.arguments(&[&world.bind("", "")], &["sh", "-c", &script]))
            .expect_code(0);
        assert_eq!(run.stdout, sees, "{script}\n{run}");
    }
}

fn copied_into_a_container_and_out_of_it(engine: Engine) {
    let world = world(engine);
    let checkout = world.checkout().display().to_string();
    // The last: the directory itself below the path, which is taken as well.
    for (from, to) in [("/.", ""), ("/.", "/"), ("", ""), ("", "/")] {
        let container = world.create(&[]);
        let path = format!("{}:{DEPLOYMENT}", container.name());
        world
            .engine
            .expect(["cp", &format!("{checkout}{from}"), &format!("{path}{to}")]);
        for form in ["/", "/."] {
            let out = world.beside("copied").join(format!("out{}", form.len()));
            let _ = std::fs::remove_dir_all(&out);
            world
                .engine
                .expect(["cp", &format!("{path}{form}"), out.to_str().unwrap()]);
            let below = if from.is_empty() { "checkout/dev" } else { "dev" };
            assert!(out.join(below).is_dir(), "{from:?} {to:?} {form:?}");
        }
        let out = world.beside("copied").join("link");
        let _ = std::fs::remove_dir_all(&out);
        world.engine.expect(["cp", &path, out.to_str().unwrap()]);
        assert_eq!(out.is_symlink(), !engine.copies_what_a_link_leads_to());
        world.assert_ran(container.start_and_wait(), Some("one"));
    }
}
