//! The `bootlace` command.

fn main() {}
