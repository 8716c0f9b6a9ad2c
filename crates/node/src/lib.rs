//! Runs roles on a machine.
