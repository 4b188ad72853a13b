//! Script templates.

/// Compiled templates.
#[derive(Debug, Default)]
pub struct Templates {}
