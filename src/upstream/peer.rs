//! Scriptable peers for this room's tests.
