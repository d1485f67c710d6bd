//! What README.md tells people to type does what it says there, against the sample file; the files that it and `docs`
//! show are good.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use mainstay::config::{self, Env};

use super::process::{Gateway, program, skip};

struct NoEnv;

impl Env for NoEnv {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, name: &str) -> Result<String, String> {
        Err(format!("{name} is not there"))
    }
}

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The contents of the code blocks of this language.
fn blocks(readme: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    let inside = |rest: &str| rest.split("```").next().unwrap_or_default().to_owned();
    readme.split(opening.as_str()).skip(1).map(inside).collect()
}

/// The commands of the console blocks that speak to a running gateway, each with what is printed
/// below it.
fn commands(readme: &str) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    let mut continued = false;
    for line in blocks(readme, "console").concat().lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), String::new())),
            (None, Some((command, _))) if continued => {
                command.push('\n');
                command.push_str(line);
            }
            (None, Some((_, output))) => {
                output.push_str(line);
                output.push('\n');
            }
            (None, None) => panic!("output before any command: {line}"),
        }
        continued = line.ends_with('\\');
    }
    commands.retain(|(command, _)| command.contains("curl"));
    commands
}

#[test]
fn the_commands_do_what_is_said_of_them() {
    if program("curl").is_none() {
        return skip("the README's commands", "curl is not installed");
    }
    let sample = text("routing.yaml").replace("127.0.0.1:8080", "LISTEN").replace("127.0.0.1:9090", "ADMIN");
    let gateway = Gateway::start(&sample);
    let addresses = |line: &str| {
        line.replace("127.0.0.1:8080", &gateway.callers.to_string())
            .replace("127.0.0.1:9090", &gateway.admin.to_string())
    };
    let run = |command: &str| {
        let mut shell = Command::new("sh");
        for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            shell.env_remove(name);
        }
        let output = shell.args(["-c", &addresses(command)]).output().expect("sh starts");
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let commands = commands(&text("README.md"));
    let [plain, streamed, kill, traffic, metrics, restore] = &commands[..] else {
        panic!("the README has other commands than this test knows: {commands:#?}")
    };
    assert!(run(&plain.0).contains("\"chat.completion\""));
    assert!(run(&streamed.0).trim_end().ends_with("data: [DONE]"));
    assert!(run(&kill.0).contains("\"refuse\""));
    assert_eq!(run(&traffic.0), "200 sim-b/demo\n".repeat(20));
    // How many requests met the dead upstream is a matter of timing, and two were asked before.
    let name = |line: &str| line.rsplit_once(' ').map(|(name, _)| name.to_owned());
    let (said, shown) = (metrics.1.lines().filter_map(name), run(&metrics.0));
    let shown: Vec<String> = shown.lines().filter_map(name).collect();
    for series in said {
        assert!(shown.contains(&series), "{series} is not among {shown:?}");
    }
    assert!(!shown.iter().any(|series| series.contains("failed") || series.contains("broken")), "{shown:?}");
    assert!(run(&restore.0).contains("\"rules\":[]"));
}

#[test]
fn the_files_it_shows_are_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let pages = std::fs::read_dir(folder).expect("it is there").filter_map(|entry| Some(entry.ok()?.path()));
    let pages = pages.filter(|page| page.extension().is_some_and(|kind| kind == "md"));
    let pages = pages.filter_map(|page| Some(format!("docs/{}", page.file_name()?.to_str()?)));
    let mut good = 0;
    for name in pages.chain(["README.md".to_owned()]) {
        for yaml in blocks(&text(&name), "yaml") {
            if let Err(problems) = config::load(&yaml, &NoEnv) {
                panic!("{name}: {problems:#?}\n{yaml}");
            }
            good += 1;
        }
    }
    assert!(good > 10, "{good} files");
}

/// Every header of the gateway's own that stands in the program stands in the table, and no other one.
#[test]
fn docs_name_every_header_of_the_gateways_own() {
    fn named(text: &str, begin: &str) -> BTreeSet<String> {
        let name =
            |rest: &str| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect::<String>();
        text.split(begin).skip(1).map(name).filter(|name| !name.is_empty()).collect()
    }
    fn sources(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("the sources are there") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("it can be read");
                found.extend(named(&text, "HeaderName::from_static(\"x-mainstay-"));
            }
        }
    }
    let docs = text("docs/callers.md");
    let (_, table) = docs.split_once("### Headers of the gateway's own").expect("the table is there");
    let (table, _) = table.split_once("\n## ").expect("something follows");
    let mut used = BTreeSet::from(["session".to_owned()]);
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut used);
    assert!(used.len() > 20, "{used:?}");
    assert_eq!(named(table, "`x-mainstay-"), used);
}
