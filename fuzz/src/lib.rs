//! The bodies of the fuzz targets, which a stable compiler runs, too (`tests/it/hammer`).

pub mod targets;
