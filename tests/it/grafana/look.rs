//! How dashboards look and hang together, beyond what the linter asks for.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::{dashboards, home, list, panels, text};
use crate::process::{program, skip};

#[test]
fn dashboards_are_what_their_source_says() {
    let Some(python) = program("python3") else {
        return skip("the dashboards' source", "python3 is not installed (package python3)");
    };
    let output =
        Command::new(python).arg(home().join("make")).arg("--check").output().expect("python3 starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn dashboards_hang_together() {
    let all = dashboards();
    let uids: BTreeSet<&str> = all.iter().map(|(_, dashboard)| text(&dashboard["uid"])).collect();
    assert_eq!(uids.len(), all.len(), "a uid is used twice");
    let (_, first) = &all[0];
    for (file, dashboard) in &all {
        assert_eq!(dashboard["id"], Value::Null, "{file}: id");
        assert_eq!(dashboard["schemaVersion"], 39, "{file}: schemaVersion");
        assert!(!text(&dashboard["title"]).is_empty(), "{file}: title");
        assert!(list(&dashboard["tags"]).contains(&"mainstay".into()), "{file}: links go by the tag");
        let link = &dashboard["links"][0];
        assert_eq!(
            (&link["tags"][0], &link["keepTime"], &link["includeVars"]),
            (&"mainstay".into(), &true.into(), &true.into()),
            "{file}"
        );
        for alike in ["templating", "annotations"] {
            assert_eq!(
                dashboard[alike], first[alike],
                "{file}: links carry over what was chosen, so {alike} are alike"
            );
        }
        for panel in panels(dashboard) {
            for link in list(&panel["fieldConfig"]["defaults"]["links"]) {
                let uid = text(&link["url"]).trim_start_matches("/d/").split('?').next().unwrap_or_default();
                assert!(uids.contains(uid), "{file}: {} leads to {uid}, which is not here", panel["title"]);
            }
        }
    }
}

#[test]
fn panels_have_their_places_and_names() {
    for (file, dashboard) in dashboards() {
        let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
        let rows = list(&dashboard["panels"]).iter().filter(|panel| panel["type"] == "row");
        assert!(rows.clone().all(|row| ids.insert(row["id"].as_u64())), "{file}: two rows with one id");
        assert!(rows.clone().next().is_some_and(|row| row["collapsed"] == false), "{file}: begins folded up");
        for panel in panels(&dashboard) {
            let title = text(&panel["title"]);
            let at = format!("{file}: {title}");
            assert!(titles.insert(title), "{at}: title is used twice");
            assert!(ids.insert(panel["id"].as_u64()), "{at}: id is used twice");
            assert!(text(&panel["description"]).ends_with('.'), "{at}: the description is no sentence");
            let place = &panel["gridPos"];
            let right = place["x"].as_u64().zip(place["w"].as_u64()).map(|(x, w)| x + w);
            assert!(right.is_some_and(|right| right <= 24), "{at}: reaches out of the grid");
            let mut refs = BTreeSet::new();
            for target in list(&panel["targets"]) {
                assert!(refs.insert(text(&target["refId"])), "{at}: refId is used twice");
                assert_eq!(text(&target["datasource"]["uid"]), "${datasource}", "{at}: target's data source");
            }
        }
        no_overlap(&file, list(&dashboard["panels"]));
        for row in rows {
            assert_eq!(
                row["collapsed"] == true,
                !list(&row["panels"]).is_empty(),
                "{file}: {}",
                row["title"]
            );
            no_overlap(&file, list(&row["panels"]));
        }
    }
}

fn no_overlap(file: &str, panels: &[Value]) {
    let mut taken = BTreeSet::new();
    for panel in panels {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().expect("a place"));
        for cell in (y..y + h).flat_map(|row| (x..x + w).map(move |column| (row, column))) {
            assert!(taken.insert(cell), "{file}: {} overlaps another panel", panel["title"]);
        }
    }
}
