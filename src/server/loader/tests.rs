//! Of what is read, how it is told apart, and how it is refused.

use super::*;

const FILE: &str = "\
version: 1
upstreams:
  a: {provider: simulated}
routes:
  - {model: demo, channels: [{upstream: a}]}
";

#[derive(Default)]
struct Disk(Mutex<HashMap<String, String>>);

impl Env for Disk {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &str) -> Result<String, String> {
        self.0.lock().get(path).cloned().ok_or_else(|| "no such file".to_owned())
    }
}

struct RealDisk;

impl Env for RealDisk {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

fn loader(text: &str, disk: &Arc<Disk>) -> Loader {
    let world: World = Arc::clone(disk) as World;
    Loader::new(Source::Text { name: "routing.yaml".to_owned(), text: text.to_owned() }, world)
}

#[test]
fn a_changed_secret_is_a_change_and_the_same_one_is_none() {
    let disk = Arc::new(Disk::default());
    disk.0.lock().insert("/run/key".to_owned(), "sk-1".to_owned());
    let text = FILE.replace("routes:", "  o: {provider: openai, credentials: [\"file:/run/key\"]}\nroutes:");
    let loader = loader(&text, &disk);
    let draft = loader.load().expect("a good file");
    assert!(loader.is_unchanged(&draft.fingerprint));
    disk.0.lock().insert("/run/key".to_owned(), "sk-2".to_owned());
    assert!(!loader.is_unchanged(&draft.fingerprint));
    disk.0.lock().clear();
    assert!(!loader.is_unchanged(&draft.fingerprint));
}

#[test]
fn roots_are_made_once_as_long_as_they_are_the_same() {
    let disk = Arc::new(Disk::default());
    let pem = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).expect("a certificate").cert.pem();
    disk.0.lock().insert("/ca.pem".to_owned(), pem);
    let text = FILE.replace(
        "routes:",
        "  h: {provider: http, base_url: \"https://x\", tls: {ca_file: /ca.pem}}\nroutes:",
    );
    let loader = loader(&text, &disk);
    let key = Some("/ca.pem".to_owned());
    let (one, two) = (loader.load().expect("good"), loader.load().expect("good"));
    assert!(Arc::ptr_eq(&one.roots[&key], &two.roots[&key]));
    disk.0.lock().insert("/ca.pem".to_owned(), "no PEM".to_owned());
    let rejection = loader.load().err().expect("the roots are unusable");
    assert!(rejection.to_string().starts_with("error: upstreams.h.tls.ca_file: "), "{rejection}");
    assert!(!loader.is_unchanged(&one.fingerprint));
}

#[test]
fn a_client_certificate_is_made_once_and_anew_when_one_of_its_files_changes() {
    let disk = Arc::new(Disk::default());
    let renew = || {
        let issued = rcgen::generate_simple_self_signed(vec!["us".to_owned()]).expect("a certificate");
        disk.0.lock().insert("/us.pem".to_owned(), issued.cert.pem());
        disk.0.lock().insert("/us.key".to_owned(), issued.signing_key.serialize_pem());
    };
    renew();
    let tls = |key: &str| {
        let upstream = format!(
            "  h: {{provider: http, base_url: \"https://x\", tls: {{ca_file: /us.pem, client_cert: /us.pem{key}}}}}\n"
        );
        FILE.replace("routes:", &format!("{upstream}routes:"))
    };
    // A reference to the text is as good as the name of its file.
    for key in [", client_key: /us.key", ", client_key: 'file:/us.key'"] {
        let loader = loader(&tls(key), &disk);
        let load = || loader.load().unwrap_or_else(|rejection| panic!("{rejection}"));
        let (one, two) = (load(), load());
        assert!(Arc::ptr_eq(&one.showing["h"], &two.showing["h"]));
        assert!(!format!("{:?}", one.blueprint).contains("PRIVATE"));
        renew();
        assert!(!loader.is_unchanged(&one.fingerprint));
        assert!(!Arc::ptr_eq(&one.showing["h"], &load().showing["h"]));
        // Half of a new pair is none.
        let before = disk.0.lock().get("/us.key").cloned().expect("it is there");
        renew();
        disk.0.lock().insert("/us.key".to_owned(), before);
        let rejection = loader.load().err().expect("they do not belong together").to_string();
        assert!(rejection.contains("upstreams.h.tls: the client certificate cannot be used"), "{rejection}");
        renew();
    }
    let said = |text: &str| loader(text, &disk).load().err().expect("it is wrong").to_string();
    assert!(said(&tls("")).contains("`client_key` is missing"), "{}", said(&tls("")));
    let gone = tls(", client_key: /gone");
    assert!(said(&gone).contains("upstreams.h.tls.client_key: cannot read /gone"), "{}", said(&gone));
    let inline = tls(", client_key: '-----BEGIN PRIVATE KEY----- abc'");
    assert!(said(&inline).contains("stands here in clear text"), "{}", said(&inline));
}

#[test]
fn facts_about_models_are_read_with_the_file_and_a_mistake_in_them_is_one_of_the_file() {
    let disk = Arc::new(Disk::default());
    let write = |text: &str| disk.0.lock().insert("models.yaml".to_owned(), text.to_owned());
    let loader = loader(&format!("{FILE}catalog: {{file: models.yaml}}\n"), &disk);
    write("providers: {simulated: {demo: {context: 7}}}");
    let good = loader.load().expect("a good file");
    assert_eq!(good.blueprint.catalog.facts("simulated", "demo").context, Some(7));
    assert!(loader.is_unchanged(&good.fingerprint));
    write("providers: {simulated: {demo: {context: seven}}}");
    assert!(!loader.is_unchanged(&good.fingerprint));
    let rejection = loader.load().err().expect("no number");
    let shown = rejection.to_string();
    assert!(shown.contains("--> models.yaml:1:41"), "{shown}");
    assert!(shown.ends_with("routing.yaml: 1 error"), "{shown}");
    assert_eq!(rejection.problems()[0]["file"], "models.yaml");
}

#[test]
fn every_path_counts_from_the_directory_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    write("cert.pem", &certified.cert.pem());
    write("key.pem", &certified.signing_key.serialize_pem());
    write("secret", "sk-1");
    write("models.yaml", "providers: {simulated: {demo: {context: 7}}}");
    let text = FILE.replace(
        "routes:",
        "  h: {provider: http, base_url: \"https://x\", tls: {ca_file: cert.pem}}\n  \
         o: {provider: openai, credentials: [\"file:./secret\"]}\n\
         catalog: {file: models.yaml}\nserver: {tls: {cert: cert.pem, key: ./key.pem}}\nroutes:",
    );
    write("routing.yaml", &text);
    let loader = Loader::new(Source::File(directory.path().join("routing.yaml")), Arc::new(RealDisk));
    let draft = loader.load().unwrap_or_else(|rejection| panic!("{rejection}"));
    assert_eq!(draft.blueprint.catalog.facts("simulated", "demo").context, Some(7));
    assert!(draft.certificate.is_some() && draft.roots.contains_key(&Some("cert.pem".to_owned())));
    assert!(loader.is_unchanged(&draft.fingerprint));
    write("secret", "sk-2");
    assert!(!loader.is_unchanged(&draft.fingerprint));
}

#[test]
fn what_is_in_the_working_directory_instead_is_said_to_be_there() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("routing.yaml");
    // Tests run in the directory of Cargo.toml.
    for (setting, path) in [
        ("catalog: {file: Cargo.toml}", "catalog.file"),
        ("server: {tls: {cert: Cargo.toml, key: Cargo.lock}}", "server.tls"),
    ] {
        std::fs::write(&at, format!("{FILE}{setting}\n")).unwrap();
        let loaded = Loader::new(Source::File(at.clone()), Arc::new(RealDisk)).load();
        let shown = loaded.err().expect("it is elsewhere").to_string();
        let own = directory.path().join("Cargo.toml");
        for part in [path, own.to_str().unwrap(), "there is a Cargo.toml in the working directory"] {
            assert!(shown.contains(part), "no {part:?}: {shown}");
        }
    }
}

#[test]
fn a_rejection_shows_every_problem_and_counts_them() {
    let disk = Arc::new(Disk::default());
    let text = FILE.replace("upstream: a", "upstream: b, wieght: 3");
    let rejection = loader(&text, &disk).load().err().expect("two mistakes");
    let shown = rejection.to_string();
    assert!(shown.contains("routing.yaml:5:"), "{shown}");
    assert!(shown.ends_with("errors"), "{shown}");
}

#[test]
fn what_cannot_be_read_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("routing.yaml");
    let read = || Source::File(path.clone()).read();
    assert!(matches!(read(), Err(Rejection::Unreadable { .. })));
    std::fs::write(&path, b"version: \xff").unwrap();
    assert!(read().expect_err("not text").to_string().ends_with("not UTF-8 at byte 9"));
    std::fs::write(&path, FILE).unwrap();
    assert_eq!(read().as_deref(), Ok(FILE));
}

#[test]
fn what_can_be_read_only_once_is_read_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let writer = std::thread::spawn({
        let path = path.clone();
        move || std::fs::write(path, FILE).unwrap()
    });
    let source = Source::at(path.clone());
    writer.join().unwrap();
    assert_eq!(source.name(), path.display().to_string());
    assert_eq!((source.read().as_deref(), source.read().as_deref()), (Ok(FILE), Ok(FILE)));
    let file = directory.path().join("routing.yaml");
    std::fs::write(&file, FILE).unwrap();
    assert_eq!(Source::at(file.clone()), Source::File(file));
    let nothing = directory.path().join("nothing");
    assert_eq!(Source::at(nothing.clone()), Source::File(nothing));
}

#[test]
fn a_state_file_that_is_the_configuration_or_part_of_it_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
    write("key", "sk-1");
    std::os::unix::fs::symlink(at("routing.yaml"), at("link")).unwrap();
    let upstream =
        format!("  o: {{provider: openai, credentials: [\"file:{}\"]}}\nroutes:", at("key").display());
    let text = FILE.replace("routes:", &upstream);
    let load = |state: &str| {
        write("routing.yaml", &format!("{text}server: {{state_file: '{state}'}}\n"));
        Loader::new(Source::File(at("routing.yaml")), Arc::new(RealDisk)).load()
    };
    for state in ["routing.yaml", "./routing.yaml", "key", "link"] {
        let rejection = load(state).err().unwrap_or_else(|| panic!("{state} would be written over"));
        assert!(rejection.to_string().starts_with("error: server.state_file: "), "{rejection}");
    }
    let warned = |state: &str| {
        let warnings = load(state).expect("a good file, so far").warnings;
        warnings.iter().filter(|warning| warning.path == place::SETTING).count()
    };
    assert_eq!((warned("state.json"), warned("none/state.json")), (0, 1));
}
