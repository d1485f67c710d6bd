//! Crashes at every byte, full disks, and what comes out again.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;
use crate::ledger::codec::tests::batch;

const PLENTY: u64 = 1 << 30;

/// The same batches each time, with names of their own.
fn batches(count: usize, most_rows: usize) -> Vec<Batch> {
    let mut runner = TestRunner::deterministic();
    let mut made: Vec<Batch> =
        (0..count).map(|_| batch(most_rows).new_tree(&mut runner).expect("it makes one").current()).collect();
    made.iter_mut().zip(1..).for_each(|(batch, id)| batch.id = id);
    made
}

fn open(directory: &Path) -> Spool {
    Spool::open(directory, PLENTY).expect("the directory can be opened")
}

/// Takes everything out.
fn drain(spool: &mut Spool) -> Vec<Batch> {
    let mut all = Vec::new();
    loop {
        let some = spool.first(20).expect("it can be read");
        if some.is_empty() {
            return all;
        }
        for batch in some {
            spool.forget(batch.id).expect("it can be cleared");
            all.push(batch);
        }
    }
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(directory).expect("it is there").map(|entry| entry.expect("it can be read").path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == SUFFIX)).collect();
    paths.sort();
    paths
}

#[test]
fn a_crash_at_any_byte_leaves_whole_batches_in_order_each_once() {
    let directory = tempfile::tempdir().unwrap();
    let written = batches(4, 2);
    let mut spool = open(directory.path());
    let mut ends = vec![0];
    for batch in &written {
        spool.append(batch).expect("there is room");
        ends.push(spool.bytes());
    }
    drop(spool);
    let [segment] = &segments(directory.path())[..] else { panic!("one segment") };
    let bytes = fs::read(segment).unwrap();
    assert_eq!(bytes.len() as u64, ends[written.len()]);
    for length in 0..=bytes.len() {
        fs::write(segment, &bytes[..length]).unwrap();
        let mut spool = open(directory.path());
        let whole = ends.iter().filter(|end| **end <= length as u64).count() - 1;
        assert_eq!(spool.batches(), whole as u64, "{length}");
        // What comes after a crash stands behind what was there before it.
        let late = Batch { id: 99, ..Batch::default() };
        spool.append(&late).expect("there is room");
        let mut expected = written[..whole].to_vec();
        expected.push(late);
        assert_eq!(drain(&mut spool), expected, "{length}");
        assert_eq!((spool.batches(), spool.bytes(), segments(directory.path()).len()), (0, 0, 0), "{length}");
    }
}

/// What was put aside for people.
fn aside(directory: &Path) -> usize {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(ASIDE)).count()
}

/// Batches, the segment that they are in, and where each of them ends there.
fn in_one_segment(directory: &Path, written: &[Batch]) -> (PathBuf, Vec<u8>, Vec<usize>) {
    let mut spool = open(directory);
    let put = |batch| {
        spool.append(batch).expect("there is room");
        usize::try_from(spool.bytes()).expect("it is small")
    };
    let ends = written.iter().map(put).collect();
    drop(spool);
    let [segment] = &segments(directory)[..] else { panic!("one segment") };
    (segment.clone(), fs::read(segment).expect("it is there"), ends)
}

#[test]
fn a_byte_that_the_disk_has_changed_costs_its_batch_alone_and_is_counted() {
    let written = batches(3, 1);
    let home = tempfile::tempdir().unwrap();
    let (segment, bytes, ends) = in_one_segment(home.path(), &written);
    for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << bit;
        fs::write(&segment, &changed).unwrap();
        let mut spool = open(home.path());
        let mut expected = written.clone();
        expected.remove(ends.iter().filter(|end| **end <= at).count());
        assert_eq!(drain(&mut spool), expected, "{at} {bit}");
        assert!(spool.take_unreadable() > 0, "{at} {bit}");
        assert_eq!((spool.batches(), aside(home.path())), (0, 1), "{at} {bit}");
        fs::remove_file(segment.with_extension(ASIDE)).unwrap();
    }
}

#[test]
fn what_was_put_aside_stays_when_more_is() {
    let directory = tempfile::tempdir().unwrap();
    for times in 1..=3 {
        let (segment, mut bytes, _) = in_one_segment(directory.path(), &batches(2, 2));
        bytes[20] ^= 1;
        fs::write(segment, bytes).unwrap();
        assert_eq!(drain(&mut open(directory.path())).len(), 1);
        assert_eq!(aside(directory.path()), times);
    }
}

#[test]
fn a_file_with_the_last_of_all_numbers_is_nobodys() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(file_name(u64::MAX)), "anything").unwrap();
    let written = batches(1, 2);
    let mut spool = open(directory.path());
    spool.append(&written[0]).expect("there is room");
    assert_eq!(drain(&mut spool), written);
}

#[test]
fn a_segment_of_zeros_is_one_that_a_crash_has_left_and_one_of_anything_else_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    for (byte, lost) in [(0, 0), (0xff, 1), (b'a', 1)] {
        for length in [frame::HEAD, frame::HEAD + 1, 5_000] {
            fs::write(directory.path().join(file_name(0)), vec![byte; length]).unwrap();
            let mut spool = open(directory.path());
            assert_eq!(drain(&mut spool), []);
            assert_eq!(spool.take_unreadable().min(1), lost, "{byte} {length}");
            assert_eq!(segments(directory.path()).len(), 0);
        }
    }
}

#[test]
fn what_is_damaged_while_it_waits_is_passed_over_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let written = batches(3, 20);
    let mut spool = open(directory.path());
    let mut ends = Vec::new();
    for batch in &written {
        spool.append(batch).expect("there is room");
        ends.push(usize::try_from(spool.bytes()).unwrap());
    }
    let [segment] = &segments(directory.path())[..] else { panic!("one segment") };
    let mut bytes = fs::read(segment).unwrap();
    bytes[ends[1] - 1] ^= 1;
    fs::write(segment, &bytes).unwrap();
    assert_eq!(drain(&mut spool), [written[0].clone(), written[2].clone()]);
    let rows = written[1].requests.len() + written[1].attempts.len();
    assert!(rows > 1);
    assert_eq!((spool.take_unreadable(), spool.take_unreadable()), (rows, 0));
    assert_eq!(segments(directory.path()).len(), 0);
}

#[test]
fn what_was_told_and_not_cleared_before_a_crash_is_told_again() {
    let directory = tempfile::tempdir().unwrap();
    let written = batches(3, 1);
    let mut spool = open(directory.path());
    for batch in &written {
        spool.append(batch).expect("there is room");
    }
    let first = spool.first(1).unwrap();
    assert!(!first.is_empty() && written.starts_with(&first), "one at least, however many rows it has");
    assert_eq!(spool.first(1).unwrap(), first, "it stays");
    spool.forget(7).unwrap();
    assert_eq!(spool.batches(), 3, "another name");
    assert_eq!(spool.first(PLENTY as usize).unwrap(), written, "all that there are");
    spool.forget(first[0].id).unwrap();
    assert_eq!(spool.batches(), 2);
    drop(spool);
    assert_eq!(drain(&mut open(directory.path())), written);
}

#[test]
fn a_full_spool_keeps_what_it_has_and_takes_more_once_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let written = batches(2, 3);
    let most = written.iter().map(|batch| frame::of(batch).len() as u64).sum();
    let mut spool = Spool::open(directory.path(), most).unwrap();
    for batch in &written {
        spool.append(batch).expect("there is room");
    }
    let late = Batch { id: 99, ..Batch::default() };
    assert!(matches!(spool.append(&late), Err(Full::Bytes)));
    assert_eq!(drain(&mut spool), written);
    spool.append(&late).expect("there is room again");
    assert_eq!(drain(&mut spool), [late]);
}

#[test]
fn segments_go_one_by_one_as_they_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let large = batches(1, 40).remove(0);
    let size = frame::of(&large).len() as u64;
    let count = u128::from(2 * SEGMENT / size + 2);
    let mut spool = open(directory.path());
    for id in 0..count {
        spool.append(&Batch { id, ..large.clone() }).expect("there is room");
    }
    assert_eq!(segments(directory.path()).len(), 3);
    assert!(segments(directory.path()).iter().all(|path| path.metadata().unwrap().len() <= SEGMENT));
    let mut files = 3;
    for id in 0..count {
        assert_eq!(spool.first(1).unwrap()[0].id, id);
        spool.forget(id).unwrap();
        let left = segments(directory.path()).len();
        assert!(left == files || left + 1 == files);
        files = left;
    }
    assert_eq!(files, 0);
}

#[test]
fn a_disk_that_fails_costs_the_batch_and_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let written = batches(2, 2);
    let mut spool = open(directory.path());
    spool.append(&written[0]).expect("there is room");
    // Nothing can be written through a handle that only reads.
    let [segment] = &segments(directory.path())[..] else { panic!("one segment") };
    spool.writing = Some(File::open(segment).unwrap());
    assert!(matches!(spool.append(&Batch { id: 7, ..Batch::default() }), Err(Full::Disk(_))));
    spool.append(&written[1]).expect("a new segment takes it");
    assert_eq!(drain(&mut spool), written);
}

#[test]
fn what_somebody_removes_is_counted_and_hides_nothing_that_comes_after() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("spool");
    let written = batches(4, 2);
    let mut spool = open(&place);
    for batch in &written[..2] {
        spool.append(batch).expect("there is room");
    }
    fs::remove_dir_all(&place).unwrap();
    // Into a file without a name.
    spool.append(&written[2]).expect("it is put into a new one");
    assert_eq!((spool.take_unreadable(), segments(&place).len()), (2, 1));
    assert_eq!(drain(&mut spool), written[2..3]);
    spool.append(&written[0]).expect("there is room");
    fs::remove_file(&segments(&place)[0]).unwrap();
    // Nothing is written meanwhile.
    assert_eq!(drain(&mut spool), []);
    assert_eq!((spool.take_unreadable(), spool.batches(), spool.bytes()), (1, 0, 0));
    spool.append(&written[3]).expect("there is room");
    drop(spool);
    assert_eq!(drain(&mut open(&place)), written[3..]);
}

#[test]
fn a_segment_that_cannot_be_read_any_more_holds_nothing_up_behind_it() {
    let shorten = |segment: &Path| {
        let file = OpenOptions::new().write(true).open(segment).unwrap();
        file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    };
    // Nothing can be read at the beginning of a process's memory, which is said as a disk says it.
    let damage = |segment: &Path| {
        fs::remove_file(segment).unwrap();
        std::os::unix::fs::symlink("/proc/self/mem", segment).unwrap();
    };
    for (what, harm, kept) in
        [("shorter", &shorten as &dyn Fn(&Path), 1), ("damaged", &damage as &dyn Fn(&Path), 0)]
    {
        let directory = tempfile::tempdir().unwrap();
        let written = batches(3, 2);
        let mut spool = open(directory.path());
        spool.append(&written[0]).expect("there is room");
        spool.append(&written[1]).expect("there is room");
        // The next one is another segment's.
        spool.writing = None;
        spool.append(&written[2]).expect("there is room");
        harm(&segments(directory.path())[0]);
        let expected: Vec<Batch> = written[..kept].iter().chain(&written[2..]).cloned().collect();
        assert_eq!(drain(&mut spool), expected, "{what}");
        assert_eq!((spool.take_unreadable(), spool.batches(), spool.bytes()), (2 - kept, 0, 0), "{what}");
        assert_eq!((aside(directory.path()), segments(directory.path()).len()), (1, 0), "{what}");
        spool.append(&written[0]).expect("there is room");
        drop(spool);
        assert_eq!(drain(&mut open(directory.path())), written[..1], "{what}: and it begins anew");
    }
}

#[test]
fn a_directory_is_one_processs() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    let error = Spool::open(directory.path(), PLENTY).expect_err("it is taken");
    assert!(error.to_string().contains("another process"), "{error}");
    drop(spool);
    open(directory.path());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// However many bytes of a segment are changed, at once or in several places, while it waits or before it is
    /// opened.
    #[test]
    fn damage_costs_the_batches_that_it_touches_and_no_other(
        damages in proptest::collection::vec((0..usize::MAX, proptest::collection::vec(any::<u8>(), 1..40)), 1..4),
        is_open in any::<bool>(),
    ) {
        let written = batches(6, 2);
        let home = tempfile::tempdir().unwrap();
        let (segment, bytes, ends) = in_one_segment(home.path(), &written);
        let before = is_open.then(|| open(home.path()));
        let mut changed = bytes.clone();
        for (at, damage) in damages {
            let at = at % bytes.len();
            changed.iter_mut().skip(at).zip(damage).for_each(|(byte, damage)| *byte = damage);
        }
        fs::write(&segment, &changed).unwrap();
        let starts = [0].into_iter().chain(ends.iter().copied());
        let is_touched: Vec<bool> =
            starts.zip(&ends).map(|(start, end)| bytes[start..*end] != changed[start..*end]).collect();
        let expected: Vec<Batch> =
            written.iter().zip(&is_touched).filter(|(_, is_touched)| !**is_touched).map(|(batch, _)| batch.clone()).collect();
        let mut spool = before.unwrap_or_else(|| open(home.path()));
        prop_assert_eq!(drain(&mut spool), expected);
        // The last one may look as if it had never been written to its end.
        if is_touched[..written.len() - 1].contains(&true) {
            prop_assert!(spool.take_unreadable() > 0);
            prop_assert_eq!(aside(home.path()), 1);
        }
    }

    /// Against a list: appended behind, taken from the front, and the same again after every crash but for what was
    /// taken of a segment that is still there.
    #[test]
    fn it_is_a_queue_that_forgets_nothing(steps in proptest::collection::vec((0..5_u8, batch(2)), 0..40)) {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = open(directory.path());
        let (mut wanted, mut seen, mut id) = (VecDeque::new(), std::collections::BTreeSet::new(), 0);
        for (step, batch) in steps {
            match step {
                0 => {
                    drop(spool);
                    spool = open(directory.path());
                }
                1 | 2 => {
                    for first in spool.first(3).unwrap() {
                        spool.forget(first.id).unwrap();
                        if seen.insert(first.id) {
                            prop_assert_eq!(Some(first), wanted.pop_front());
                        }
                    }
                }
                _ => {
                    id += 1;
                    let batch = Batch { id, ..batch };
                    spool.append(&batch).expect("there is room");
                    wanted.push_back(batch);
                }
            }
        }
        let rest: Vec<Batch> = drain(&mut spool).into_iter().filter(|batch| seen.insert(batch.id)).collect();
        prop_assert_eq!(rest, Vec::from(wanted));
    }
}

#[test]
fn what_a_dead_gateway_left_comes_after_ones_own_each_once() {
    let (mine, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let written = batches(6, 2);
    let (own, left) = written.split_at(2);
    let mut dead = open(other.path());
    for batch in left {
        dead.append(batch).expect("there is room");
    }
    let first = dead.first(1).expect("it can be read");
    dead.forget(first[0].id).expect("it can be cleared");
    drop(dead);
    let mut spool = open(mine.path());
    for batch in own {
        spool.append(batch).expect("there is room");
    }
    spool.adopt(open(other.path())).expect("both can be written to");
    assert!(segments(other.path()).is_empty());
    let late = Batch { id: 99, ..written[0].clone() };
    spool.append(&late).expect("there is room");
    drop(spool);
    // What was taken out of a segment is told again after a crash.
    let expected: Vec<Batch> = own.iter().chain(left).chain([&late]).cloned().collect();
    assert_eq!(drain(&mut open(mine.path())), expected);
    assert!(drain(&mut open(other.path())).is_empty());
}
