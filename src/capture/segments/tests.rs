use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

const HOURS: u64 = 3600;
const BOUNDS: Bounds = Bounds { bytes: 1 << 20, age: Duration::from_secs(2 * HOURS) };

struct Disk {
    home: TempDir,
    segments: Segments,
}

impl Disk {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let segments = Segments::new(home.path().join("captures"));
        Self { home, segments }
    }

    fn directory(&self) -> PathBuf {
        self.home.path().join("captures")
    }

    /// Another process, at the same place.
    fn another(&self) -> Segments {
        Segments::new(self.directory())
    }

    fn names(&self) -> Vec<String> {
        let listed = self.segments.place.list().expect("a directory");
        listed.into_iter().map(|segment| segment.name).collect()
    }

    fn finds(&self, request: &str) -> Option<u64> {
        let found = self.segments.place.find(request, || false).expect("a directory");
        found.map(|found| found["n"].as_u64().expect("a number"))
    }
}

fn at(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn line(request: &str, n: u64, length: usize) -> String {
    format!("{}\"n\":{n},\"text\":\"{}\"}}\n", beginning(request), "x".repeat(length))
}

#[test]
fn what_was_written_is_found_again_and_the_last_of_one_name_counts() {
    let mut disk = Disk::new();
    assert_eq!(disk.finds("a"), None, "there is no directory yet");
    for (n, request) in ["a", "b", "a", "ab"].into_iter().enumerate() {
        disk.segments.write(&line(request, n as u64, 10), at(10), BOUNDS).expect("it is written");
    }
    assert_eq!((disk.finds("a"), disk.finds("b"), disk.finds("c")), (Some(2), Some(1), None));
    assert_eq!(disk.segments.place.find("a", || true).expect("a directory"), None, "nobody wants it");
    let mode = |path: PathBuf| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(disk.directory()), 0o700);
    assert_eq!(mode(disk.directory().join(&disk.names()[0])), 0o600);
}

#[test]
fn every_hour_has_files_of_its_own_and_they_go_by_age() {
    let mut disk = Disk::new();
    for hour in 0..4 {
        disk.segments
            .write(&line(&format!("r{hour}"), hour, 10), at(hour * HOURS + 60), BOUNDS)
            .expect("it is");
    }
    assert_eq!(disk.names().len(), 4, "two hours are kept, and what is in the same hour");
    disk.segments.clear(at(3 * HOURS + 60), BOUNDS, 0).expect("it is cleared");
    let hours: Vec<u64> = (0..4).filter(|hour| disk.finds(&format!("r{hour}")).is_some()).collect();
    assert_eq!(hours, [1, 2, 3]);
    disk.segments.clear(at(30 * HOURS), BOUNDS, 0).expect("it is cleared");
    assert_eq!(disk.names(), [""; 0], "nobody writes, and yet it goes");
}

#[test]
fn all_of_them_are_never_larger_than_they_may_be_and_the_newest_stay() {
    let mut disk = Disk::new();
    let bounds = Bounds { bytes: 64 << 10, ..BOUNDS };
    for n in 0..500 {
        let bytes =
            disk.segments.write(&line(&format!("r{n}"), n, 1000), at(n), bounds).expect("it is written");
        let sizes = disk.segments.place.list().expect("a directory").into_iter().map(|segment| segment.bytes);
        assert_eq!((sizes.sum::<u64>(), bytes <= bounds.bytes), (bytes, true), "{n}");
    }
    assert_eq!((disk.finds("r0"), disk.finds("r499")), (None, Some(499)));
    let kept = (0..500).filter(|n| disk.finds(&format!("r{n}")).is_some()).count();
    assert!(kept >= 48, "only what is needed goes: {kept} of some 60 are there");
    let whole = line("large", 1, 64 << 10);
    assert!(disk.segments.write(&whole, at(500), bounds).is_err(), "it could never fit");
    assert_eq!(disk.finds("r499"), Some(499), "and nothing goes for it");
}

#[test]
fn half_a_line_at_the_end_is_nothing_and_nobody_adds_to_it() {
    let mut disk = Disk::new();
    disk.segments.write(&line("a", 1, 10), at(10), BOUNDS).expect("it is written");
    let torn = disk.directory().join(&disk.names()[0]);
    let mut file = OpenOptions::new().append(true).open(&torn).expect("it is there");
    file.write_all(line("b", 2, 10).trim_end().as_bytes()).expect("it is written");
    assert_eq!((disk.finds("a"), disk.finds("b")), (Some(1), None));
    let mut next = disk.another();
    next.write(&line("c", 3, 10), at(10), BOUNDS).expect("it is written");
    assert_eq!((disk.finds("a"), disk.finds("b"), disk.finds("c")), (Some(1), None, Some(3)));
    assert_eq!(disk.names().len(), 2);
}

#[test]
fn what_is_taken_away_meanwhile_is_made_anew() {
    let mut disk = Disk::new();
    disk.segments.write(&line("a", 1, 10), at(10), BOUNDS).expect("it is written");
    fs::remove_dir_all(disk.directory()).expect("it is there");
    disk.segments.write(&line("b", 2, 10), at(11), BOUNDS).expect("it is written");
    assert_eq!((disk.finds("a"), disk.finds("b")), (None, Some(2)));
    fs::write(disk.directory().join("notes.txt"), "mine").expect("it is written");
    disk.segments.clear(at(90 * HOURS), BOUNDS, 0).expect("it is cleared");
    assert!(disk.directory().join("notes.txt").exists(), "what is nobody's of ours stays");
}

#[test]
fn where_nothing_can_be_written_it_is_said_and_goes_on_when_it_can() {
    let mut disk = Disk::new();
    fs::write(disk.directory(), "a file").expect("it is written");
    assert!(disk.segments.write(&line("a", 1, 10), at(10), BOUNDS).is_err());
    fs::remove_file(disk.directory()).expect("it is there");
    disk.segments.write(&line("a", 1, 10), at(10), BOUNDS).expect("it is written");
    assert_eq!(disk.finds("a"), Some(1));
}

#[test]
fn an_id_of_ours_is_not_looked_for_in_earlier_files() {
    let mut disk = Disk::new();
    let request = RequestId::given(at(100 * HOURS), 1);
    let long = Bounds { age: at(1000 * HOURS), ..BOUNDS };
    disk.segments.write(&line(&request, 1, 10), at(90 * HOURS), long).expect("it is written");
    assert_eq!(disk.finds(&request), None, "no clock is so wrong");
    disk.segments.write(&line(&request, 2, 10), at(99 * HOURS), long).expect("it is written");
    assert_eq!(disk.finds(&request), Some(2));
}
