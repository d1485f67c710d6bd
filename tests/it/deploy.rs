//! What `deploy` says fits what the program does: its files are good with the variables that they are given, and whoever
//! runs the program waits for its drain, asks it where it answers, and gives it the memory that it may take.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay::config::{self, Blueprint, Env};
use serde_json::Value;

/// What ends behind a drain (docs/operating.md).
const LAST: Duration = Duration::from_secs(15);

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(home().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Variables that are there, with something in them.
struct Given(BTreeSet<String>);

impl Env for Given {
    fn var(&self, name: &str) -> Option<String> {
        let value = match name {
            "DATABASE_URL" => "postgres://mainstay@postgres.example.com/mainstay?sslmode=require".to_owned(),
            "REDIS_URL" => "rediss://redis.example.com".to_owned(),
            // No two secrets are the same.
            _ => format!("{name:->40}"),
        };
        self.0.contains(name).then_some(value)
    }

    fn file(&self, name: &str) -> Result<String, String> {
        Err(format!("{name} is not there"))
    }
}

/// What such a file means, where it may be told nothing else than these.
fn good(name: &str, given: impl IntoIterator<Item = String>) -> Blueprint {
    let given = Given(given.into_iter().collect());
    let text = text(name);
    for variable in &given.0 {
        assert!(text.contains(&format!("${{{variable}}}")), "{name} has no use for {variable}");
    }
    let loaded = config::load(&text, &given).unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
    let warned: Vec<_> =
        loaded.warnings.iter().filter(|warning| !warning.message.contains("no directory")).collect();
    assert!(warned.is_empty(), "{name}: {warned:#?}");
    loaded.blueprint
}

fn drains_within(blueprint: &Blueprint, grace: Duration) {
    let drain = &blueprint.server.drain;
    let whole = drain.pre_stop_delay + drain.timeout + drain.close_spread + LAST;
    assert!(whole <= grace, "it takes {whole:?}, and is killed after {grace:?}");
}

#[test]
fn compose_runs_what_its_file_says() {
    let compose = yaml("compose/compose.yaml").remove(0);
    let gateway = &compose["services"]["mainstay"];
    let given = gateway["environment"].as_object().unwrap().keys().cloned();
    let blueprint = good("compose/mainstay/routing.yaml", given);

    let seconds = gateway["stop_grace_period"].as_str().unwrap().strip_suffix('s').unwrap();
    drains_within(&blueprint, Duration::from_secs(seconds.parse().unwrap()));
    assert_eq!(gateway["mem_limit"], "1g");
    assert!(2 * blueprint.server.limits.memory <= 1 << 30);
    let ports: Vec<_> =
        gateway["ports"].as_array().unwrap().iter().map(|port| port.as_str().unwrap()).collect();
    let inside = |port: &str| port.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let listens = [blueprint.server.listen.port(), blueprint.server.admin.port()];
    assert_eq!(ports.iter().map(|port| inside(port)).collect::<Vec<_>>(), listens);
    let scraped = yaml("compose/prometheus.yml").remove(0);
    let target = &scraped["scrape_configs"][0]["static_configs"][0]["targets"][0];
    assert_eq!(*target, format!("mainstay:{}", listens[1]));

    let mut found = 0;
    for service in compose["services"].as_object().unwrap().values() {
        for volume in service["volumes"].as_array().unwrap() {
            let from = volume.as_str().unwrap().split(':').next().unwrap();
            let is_there = if from.starts_with('.') {
                home().join("compose").join(from).exists()
            } else {
                compose["volumes"].get(from).is_some()
            };
            assert!(is_there, "{volume}");
            found += 1;
        }
    }
    assert!(found > 5, "{found}");
}

#[test]
fn kubernetes_runs_what_its_file_says() {
    let example = text("kubernetes/secrets.env.example");
    let given = example.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.to_owned());
    let blueprint = good("kubernetes/routing.yaml", given);

    let deployment = yaml("kubernetes/deployment.yaml").remove(0);
    let pod = &deployment["spec"]["template"]["spec"];
    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    drains_within(&blueprint, Duration::from_secs(grace));
    let container = &pod["containers"][0];
    assert_eq!(container["resources"]["limits"]["memory"], "1Gi");
    assert!(2 * blueprint.server.limits.memory <= 1 << 30);
    let spool = blueprint.ledger.spool.max_bytes;
    assert!(spool < 2 << 30 && pod["volumes"][1]["emptyDir"]["sizeLimit"] == "2Gi", "{spool}");
    let redis = blueprint.server.redis.as_ref().expect("two gateways count together");
    assert_eq!(deployment["spec"]["replicas"].as_u64(), Some(redis.replicas.into()));

    let ports = container["ports"].as_array().unwrap().iter();
    let ports: Vec<_> = ports.map(|port| (port["name"].as_str(), port["containerPort"].as_u64())).collect();
    let listens =
        [blueprint.server.listen, blueprint.server.admin].map(|address| Some(address.port().into()));
    assert_eq!(ports, [(Some("http"), listens[0]), (Some("admin"), listens[1])]);
    // A gateway that drains is alive.
    let asked = ["startupProbe", "livenessProbe", "readinessProbe"].map(|probe| &container[probe]["httpGet"]);
    assert!(asked.iter().all(|asked| asked["port"] == "admin"), "{asked:?}");
    assert_eq!(asked.map(|asked| asked["path"].as_str().unwrap()), ["/livez", "/livez", "/readyz"]);

    let whole = yaml("kubernetes/kustomization.yaml").remove(0);
    let selected = deployment["spec"]["selector"]["matchLabels"].clone();
    assert_eq!(deployment["spec"]["template"]["metadata"]["labels"], selected);
    let mut chosen = 0;
    for file in whole["resources"].as_array().unwrap() {
        for thing in yaml(&format!("kubernetes/{}", file.as_str().unwrap())) {
            let spec = &thing["spec"];
            let chooses =
                [&spec["selector"]["matchLabels"], &spec["podSelector"]["matchLabels"], &spec["selector"]];
            assert!(chooses.contains(&&selected), "{thing}");
            chosen += 1;
        }
    }
    assert_eq!(chosen, 5);
    assert_eq!(whole["configMapGenerator"][0]["name"], pod["volumes"][0]["configMap"]["name"]);
    assert_eq!(whole["secretGenerator"][0]["name"], container["envFrom"][0]["secretRef"]["name"]);
}

#[test]
fn the_image_has_what_its_others_count_on() {
    let image = text("Dockerfile");
    let last = image.rsplit("\nFROM ").next().unwrap();
    for said in [
        "ENV MAINSTAY_CONFIG=/etc/mainstay/routing.yaml",
        "--chown=65532:65532 /data /var/lib/mainstay",
        "EXPOSE 8080 9090",
    ] {
        assert!(last.contains(said), "{said}");
    }
    let deployment = text("kubernetes/deployment.yaml");
    for said in ["runAsUser: 65532", "mountPath: /etc/mainstay", "mountPath: /var/lib/mainstay"] {
        assert!(deployment.contains(said), "{said}");
    }
    let toolchain = text("../Cargo.toml");
    let version = toolchain.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
    assert!(image.contains(&format!("FROM rust:{}-", version.trim_matches('"'))), "{version}");
}

#[test]
fn systemd_starts_reloads_and_holds_the_socket_of_the_same_program() {
    let unit = text("systemd/mainstay.service");
    for said in [
        "Type=notify",
        "ExecStart=/usr/local/bin/mainstay serve --config /etc/mainstay/routing.yaml",
        "ExecReload=/usr/local/bin/mainstay check --config /etc/mainstay/routing.yaml\nExecReload=/bin/kill -HUP $MAINPID",
        "StateDirectory=mainstay",
    ] {
        assert!(unit.contains(said), "{said}");
    }
    let sample = config::load(&text("../routing.yaml"), &Given(BTreeSet::new())).expect("the sample is good");
    let socket = text("systemd/mainstay.socket");
    assert!(socket.contains(&format!("ListenStream={}\n", sample.blueprint.server.listen)), "{socket}");
}
